// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package certstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
)

const (
	folderMode = 0o700
	socketMode = 0o600
)

// Listen opens a socket that only processes of the same user can reach: its folder,
// which is made for it and has to be its own, is closed to all others. A socket that
// an earlier process has left is replaced.
func Listen(ctx context.Context, socket string) (net.Listener, error) {
	folder := filepath.Dir(socket)
	if err := os.MkdirAll(folder, folderMode); err != nil {
		return nil, fmt.Errorf("making the folder of the socket: %w", err)
	}
	if err := os.Chmod(folder, folderMode); err != nil {
		return nil, fmt.Errorf("closing the folder of the socket to others: %w", err)
	}
	info, err := os.Lstat(socket)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("looking for an old socket: %w", err)
	case info.Mode()&fs.ModeSocket == 0:
		return nil, fmt.Errorf("%s is there and is no socket", socket)
	default:
		if err := os.Remove(socket); err != nil {
			return nil, fmt.Errorf("removing an old socket: %w", err)
		}
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", socket)
	if err != nil {
		return nil, fmt.Errorf("listening for the gateway: %w", err)
	}
	if err := os.Chmod(socket, socketMode); err != nil {
		l.Close()
		return nil, fmt.Errorf("closing the socket to others: %w", err)
	}
	return l, nil
}
