package blob

import (
	"errors"
	"testing"

	"weir"
)

func TestAppendAndRename(t *testing.T) {
	b, err := Open(t.Context(), "file://"+t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	a, err := b.NewAppender("stage/r/1.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"one\n", "two\n"} {
		if _, err := a.Write([]byte(s)); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Sync(); err != nil {
		t.Fatal(err)
	}
	if got, err := b.Read(t.Context(), "stage/r/1.ndjson"); err != nil || string(got) != "one\ntwo\n" {
		t.Fatalf("while it grows: %q %v", got, err)
	}
	if _, err := b.NewAppender("stage/r/1.ndjson"); !errors.Is(err, weir.ErrConflict) {
		t.Errorf("second appender: %v, want a conflict", err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // a repeated move is no error
		if err := b.Rename("stage/r/1.ndjson", "data/x/1.ndjson"); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := b.Read(t.Context(), "data/x/1.ndjson"); err != nil || string(got) != "one\ntwo\n" {
		t.Errorf("after the move: %q %v", got, err)
	}
	if err := b.Rename("stage/r/2.ndjson", "data/x/2.ndjson"); !errors.Is(err, weir.ErrNotFound) {
		t.Errorf("nothing to move: %v", err)
	}
	if err := b.Rename("../x", "y"); err == nil {
		t.Error("a name above the bucket was accepted")
	}
}
