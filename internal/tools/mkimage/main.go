// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

// Command mkimage writes a container image, without a container engine and
// without a base image, from files:
//
//	mkimage -tag example.com/app:1 -out app.tar bin/app:/app [FILE:/PATH | =/LINK:/TARGET | /FOLDER/]...
//
// The first file is the entry point. The archive is an OCI image layout that
// "docker load" reads too. With -arch amd64,arm64 it holds an image for each
// architecture, and {arch} in the name of a file stands for it. With -sbom the bill
// of materials of each goes into FOLDER/NAME.ARCH.cdx.json. Equal files give equal
// bytes: nothing depends on the time, or on who built it.
package main

import (
	"flag"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
)

func main() {
	var o options
	flag.StringVar(&o.tag, "tag", "", "name and tag of the image")
	flag.StringVar(&o.user, "user", "65532:65532", "uid:gid that the image runs as")
	flag.StringVar(&o.arch, "arch", runtime.GOARCH, "architectures of the files, with commas")
	flag.StringVar(&o.version, "version", "dev", "version of what is in the image")
	sbom := flag.String("sbom", "", "folder for bills of materials")
	flag.StringVar(&o.entry, "entrypoint", "", "entry point, when it is not the first file")
	out := flag.String("out", "", "archive to write")
	flag.Parse()
	if o.tag == "" || *out == "" || flag.NArg() == 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(o, *out, *sbom, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "mkimage:", err)
		os.Exit(1)
	}
}

func run(o options, out, sbom string, args []string) error {
	var images []built
	for arch := range strings.SplitSeq(o.arch, ",") {
		o.arch = arch
		b, err := one(o, sbom, args)
		if err != nil {
			return fmt.Errorf("%s: %w", arch, err)
		}
		images = append(images, b)
	}
	archive, err := layout(o.tag, images)
	if err != nil {
		return err
	}
	return write(out, archive)
}

// one builds the image of an architecture, and writes its bill of materials.
func one(o options, sbom string, args []string) (built, error) {
	var entries []entry
	for _, arg := range args {
		e, err := parseEntry(strings.ReplaceAll(arg, "{arch}", o.arch))
		if err != nil {
			return built{}, err
		}
		if o.entry == "" && e.source != "" {
			o.entry = e.path
		}
		entries = append(entries, e)
	}
	b, err := image(o, entries)
	if err != nil || sbom == "" {
		return b, err
	}
	text, err := materials(o, digest(b.manifest), entries)
	if err != nil {
		return b, err
	}
	return b, write(filepath.Join(sbom, path.Base(strings.Split(o.tag, ":")[0])+"."+o.arch+".cdx.json"), text)
}

// write replaces a file at once.
func write(out string, data []byte) error {
	if err := os.WriteFile(out+".tmp", data, 0o644); err != nil { //nolint:gosec // an image is no secret
		return err
	}
	return os.Rename(out+".tmp", out)
}

// entry is one thing in the image: a file, a symbolic link, or a folder.
type entry struct{ path, source, link string }

func parseEntry(arg string) (entry, error) {
	if strings.HasPrefix(arg, "/") && strings.HasSuffix(arg, "/") {
		return entry{path: arg}, nil
	}
	left, right, ok := strings.Cut(arg, ":")
	if link, is := strings.CutPrefix(left, "="); ok && is && strings.HasPrefix(link, "/") {
		return entry{path: link, link: right}, nil
	}
	if !ok || left == "" || !strings.HasPrefix(right, "/") {
		return entry{}, fmt.Errorf("%s: want FILE:/PATH, =/LINK:TARGET or /FOLDER/", arg)
	}
	return entry{path: right, source: left}, nil
}
