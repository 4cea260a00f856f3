// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// The modes are for a pod whose containers share a user or a group.
const (
	dirMode  = 0o750
	fileMode = 0o640
)

const (
	indexName  = "index"
	objectsDir = "objects"
	answerDir  = "answer"
	answerName = "answer.json"
	// newPrefix begins the name of a file that is not renamed yet.
	newPrefix = ".new-"
)

// maxObjectBytes is above what an API server stores for one object.
const maxObjectBytes = 8 << 20

// replaceFile writes beside and renames, so that path has its old content or
// its new one at any time. There is no fsync: after a crash of the machine the
// directory, an emptyDir, is gone; and what a reader takes is checked by hash.
func replaceFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), newPrefix+"*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(fileMode), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// readBounded reads a file of at most limit bytes.
func readBounded(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s is larger than %d bytes", filepath.Base(path), limit)
	}
	return data, nil
}
