package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestReadme executes the shell lines of README.md as they stand, against a server and the films source.
func TestReadme(t *testing.T) {
	raw, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(raw), "```sh\n")
	script, _, closed := strings.Cut(rest, "\n```")
	if !ok || !closed {
		t.Fatal("README.md has no sh block")
	}
	s := newServer(t)
	s.start("")
	films, err := newFilmSource(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer films.Close()

	// The lines call bin/weir and node from the project's folder; the test binary stands in for bin/weir.
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(dir, "bin", "weir")); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", script)
	cmd.Dir = dir
	cmd.WaitDelay = time.Second
	cmd.Env = append(os.Environ(), "WEIR_TEST_MAIN=1", "WEIR="+s.api.Base, "FILMS="+films.URL, "DATA="+s.dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if got, want := strings.Fields(string(out)), "100 13389"; strings.Join(got[:min(2, len(got))], " ") != want || len(got) < 3 {
		t.Errorf("the lines printed %q, want %s and a title", got, want)
	}
}
