// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func read(t *testing.T, archive []byte) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for r := tar.NewReader(bytes.NewReader(archive)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[h.Name] = data
		if h.Typeflag == tar.TypeSymlink {
			files[h.Name] = []byte("-> " + h.Linkname)
		}
	}
}

func TestAnImageHoldsItsFilesAndDependsOnNothingElse(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "app")
	if err := os.WriteFile(program, []byte("program"), 0o700); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "app.tar")
	args := []string{program + ":/usr/local/bin/app", "=/app:/usr/local/bin/app", "/etc/app/extra/"}
	build := func() []byte {
		if err := run(options{tag: "jkaninda/app:1", arch: "amd64", user: "1:1"}, out, "", args); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	first := build()
	if err := os.Chtimes(program, time.Now(), time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first, build()) {
		t.Error("two builds of the same files differ")
	}
	files := read(t, first)
	var docker []struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	if err := json.Unmarshal(files["manifest.json"], &docker); err != nil {
		t.Fatal(err)
	}
	layer := read(t, files[docker[0].Layers[0]])
	if string(layer["usr/local/bin/app"]) != "program" || string(layer["app"]) != "-> /usr/local/bin/app" {
		t.Errorf("the layer holds %q", layer)
	}
	for _, folder := range []string{"tmp/", "usr/", "usr/local/", "usr/local/bin/", "etc/app/extra/"} {
		if _, ok := layer[folder]; !ok {
			t.Errorf("the layer lacks %s", folder)
		}
	}
	var config struct {
		Config struct {
			Entrypoint []string
			User       string
		}
	}
	if err := json.Unmarshal(files[docker[0].Config], &config); err != nil {
		t.Fatal(err)
	}
	if config.Config.Entrypoint[0] != "/usr/local/bin/app" || config.Config.User != "1:1" || docker[0].RepoTags[0] != "jkaninda/app:1" {
		t.Errorf("config %+v of %v", config, docker[0].RepoTags)
	}
	if !bytes.Contains(files["index.json"], []byte(`"docker.io/jkaninda/app:1"`)) {
		t.Errorf("index %s", files["index.json"])
	}
}
