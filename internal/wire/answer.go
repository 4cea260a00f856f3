// Copyright The Goma Authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"gateway.jkaninda.dev/goma/internal/config"
)

// Answer is what the gateway says about the view that it has applied. It is the
// only ground on which anybody may call an object live.
type Answer struct {
	// Generation and Checksum are those of the View that serves.
	Generation uint64 `json:"generation"`
	Checksum   string `json:"checksum"`
	// Routes and Middlewares count what serves of this directory.
	Routes      int `json:"routes"`
	Middlewares int `json:"middlewares"`
	// Problems are about objects of this directory.
	Problems []config.Problem `json:"problems,omitempty"`
	// Certificates are those that the gateway obtains.
	Certificates []Certificate `json:"certificates,omitempty"`
	// AppliedAt is when the view went live.
	AppliedAt time.Time `json:"appliedAt"`
	// Version is that of the gateway.
	Version string `json:"version,omitempty"`
}

// maxAnswerBytes leaves room for some problems of each of very many objects.
const maxAnswerBytes = 64 << 20

// AnswerDir is the directory of the answer, which a writer watches.
func AnswerDir(dir string) string { return filepath.Join(dir, answerDir) }

// WriteAnswer replaces the answer in dir at once: a reader finds the old or the new one.
func WriteAnswer(dir string, a Answer) error {
	data, err := plainJSON(a)
	if err != nil {
		return fmt.Errorf("encoding the answer: %w", err)
	}
	if err := os.MkdirAll(AnswerDir(dir), dirMode); err != nil {
		return fmt.Errorf("writing the answer: %w", err)
	}
	if err := replaceFile(filepath.Join(AnswerDir(dir), answerName), data); err != nil {
		return fmt.Errorf("writing the answer: %w", err)
	}
	return nil
}

// ReadAnswer reads the answer in dir. The error is fs.ErrNotExist before the
// first one.
func ReadAnswer(dir string) (*Answer, error) {
	data, err := readBounded(filepath.Join(AnswerDir(dir), answerName), maxAnswerBytes)
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	var a Answer
	if err := json.Unmarshal(data, &a); err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	return &a, nil
}
