// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"time"
)

type options struct{ tag, user, arch, entry, version string }

// built is an image of one architecture: its blobs, by their digests.
type built struct {
	arch                    string
	manifest, config, layer []byte
}

// epoch is when everything in an image was made.
var epoch = time.Unix(0, 0).UTC()

// image builds the image of the architecture.
func image(o options, entries []entry) (built, error) {
	layer, err := layer(entries)
	if err != nil {
		return built{}, err
	}
	config, err := o.config(digest(layer))
	if err != nil {
		return built{}, err
	}
	manifest, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": typeManifest,
		"config": descriptor("application/vnd.oci.image.config.v1+json", config),
		"layers": []any{descriptor("application/vnd.oci.image.layer.v1.tar", layer)},
	})
	return built{o.arch, manifest, config, layer}, err
}

func (b built) descriptor() map[string]any {
	d := descriptor(typeManifest, b.manifest)
	d["platform"] = map[string]string{"architecture": b.arch, "os": "linux"}
	return d
}

// Media types.
const (
	typeManifest = "application/vnd.oci.image.manifest.v1+json"
	typeIndex    = "application/vnd.oci.image.index.v1+json"
)

// config is what a runtime reads.
func (o options) config(layer string) ([]byte, error) {
	return json.Marshal(map[string]any{
		"architecture": o.arch, "os": "linux", "created": epoch,
		"config": map[string]any{
			"Entrypoint": []string{o.entry}, "User": o.user, "WorkingDir": "/",
			"Env": []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
			"Labels": map[string]string{
				"org.opencontainers.image.title": path.Base(strings.Split(o.tag, ":")[0]), "org.opencontainers.image.version": o.version,
			},
		},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + layer}},
	})
}

// layout writes the archive: the blobs, an index of the images, and for Docker one
// of the first. Images of several architectures are below an index of their own,
// which is what the name means then.
func layout(tag string, images []built) ([]byte, error) {
	blobs := map[string][]byte{}
	var list []any
	for _, b := range images {
		blobs[digest(b.manifest)], blobs[digest(b.config)], blobs[digest(b.layer)] = b.manifest, b.config, b.layer
		list = append(list, b.descriptor())
	}
	named := images[0].descriptor()
	if len(images) > 1 {
		all, err := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": typeIndex, "manifests": list})
		if err != nil {
			return nil, err
		}
		blobs[digest(all)], named = all, descriptor(typeIndex, all)
	}
	named["annotations"] = map[string]string{"io.containerd.image.name": fullName(tag), "org.opencontainers.image.ref.name": tag[strings.LastIndexByte(tag, ':')+1:]}
	index, err := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": typeIndex, "manifests": []any{named}})
	if err != nil {
		return nil, err
	}
	docker, err := json.Marshal([]any{map[string]any{
		"Config": "blobs/sha256/" + digest(images[0].config), "RepoTags": []string{tag}, "Layers": []string{"blobs/sha256/" + digest(images[0].layer)},
	}})
	if err != nil {
		return nil, err
	}
	w := newWriter()
	w.file("oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`), 0o644)
	w.file("index.json", index, 0o644)
	w.file("manifest.json", docker, 0o644)
	for _, name := range slices.Sorted(maps.Keys(blobs)) {
		w.file("blobs/sha256/"+name, blobs[name], 0o644)
	}
	return w.finish()
}

// fullName is how containerd calls an image of Docker's registry.
func fullName(tag string) string {
	first, _, several := strings.Cut(tag, "/")
	switch {
	case several && strings.ContainsAny(first, ".:"):
		return tag
	case several:
		return "docker.io/" + tag
	}
	return "docker.io/library/" + tag
}

func digest(data []byte) string { return fmt.Sprintf("%x", sha256.Sum256(data)) }

func descriptor(mediaType string, data []byte) map[string]any {
	return map[string]any{"mediaType": mediaType, "digest": "sha256:" + digest(data), "size": len(data)}
}

// layer holds the files, with the folders that they lie in.
func layer(entries []entry) ([]byte, error) {
	w := newWriter()
	w.folder("/tmp", 0o1777)
	for _, e := range entries {
		switch {
		case e.link != "":
			w.header(&tar.Header{Typeflag: tar.TypeSymlink, Name: e.path[1:], Linkname: e.link, Mode: 0o777})
		case e.source == "":
			w.folder(strings.TrimSuffix(e.path, "/"), 0o755)
		default:
			data, err := os.ReadFile(e.source)
			if err != nil {
				return nil, err
			}
			info, err := os.Stat(e.source)
			if err != nil {
				return nil, err
			}
			mode := int64(0o644)
			if info.Mode()&0o111 != 0 {
				mode = 0o755
			}
			w.file(e.path[1:], data, mode)
		}
	}
	return w.finish()
}

// writer writes a tar archive and remembers the first error.
type writer struct {
	buffer bytes.Buffer
	tar    *tar.Writer
	seen   map[string]bool
	err    error
}

func newWriter() *writer {
	w := &writer{seen: map[string]bool{"/": true, ".": true}}
	w.tar = tar.NewWriter(&w.buffer)
	return w
}

func (w *writer) header(h *tar.Header) {
	w.parents("/" + h.Name)
	h.ModTime, h.Format = epoch, tar.FormatUSTAR
	if w.err == nil {
		w.err = w.tar.WriteHeader(h)
	}
}

func (w *writer) file(name string, data []byte, mode int64) {
	w.header(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(data))})
	if w.err == nil {
		_, w.err = w.tar.Write(data)
	}
}

func (w *writer) folder(name string, mode int64) {
	if w.seen[name] {
		return
	}
	w.header(&tar.Header{Typeflag: tar.TypeDir, Name: name[1:] + "/", Mode: mode})
	w.seen[name] = true
}

func (w *writer) parents(name string) {
	if dir := path.Dir(strings.TrimSuffix(name, "/")); !w.seen[dir] {
		w.folder(dir, 0o755)
	}
}

func (w *writer) finish() ([]byte, error) {
	if w.err == nil {
		w.err = w.tar.Close()
	}
	return w.buffer.Bytes(), w.err
}
