package lake

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"weir"
)

// openS3 is a lake on a server that speaks S3.
func openS3(t *testing.T) *Lake {
	t.Helper()
	backend := s3mem.New()
	if err := backend.CreateBucket("bkt"); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(gofakes3.New(backend).Server())
	t.Cleanup(srv.Close)
	t.Setenv("AWS_ACCESS_KEY_ID", "k")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "s")
	return openAt(t, "s3://bkt/lake?region=us-east-1&use_path_style=true&endpoint="+srv.URL)
}

func TestStage(t *testing.T) {
	for name, open := range map[string]func(*testing.T) *Lake{"folder": open, "s3": openS3} {
		t.Run(name, func(t *testing.T) {
			l := open(t)
			w, err := l.NewPart(t.Context(), "run-1", 3)
			if err != nil {
				t.Fatal(err)
			}
			line := []byte(`{"a":"` + strings.Repeat("x", 1000) + `"}` + "\n")
			for range 2000 {
				if err := w.Append(line, 1); err != nil {
					t.Fatal(err)
				}
			}
			part, err := w.Sync()
			if err != nil {
				t.Fatal(err)
			}
			if part.Records != 2000 || part.Bytes != int64(2000*len(line)) || part.Compressed() == l.bucket.Local() {
				t.Errorf("%+v", part)
			}
			if w.CanSync() { // what comes after the checkpoint is not read
				if err := w.Append([]byte("after\n"), 1); err != nil {
					t.Fatal(err)
				}
				if err := w.Close(); err != nil {
					t.Fatal(err)
				}
			}
			r, err := l.OpenPart(t.Context(), part)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(r)
			if cerr := r.Close(); err != nil || cerr != nil {
				t.Fatal(err, cerr)
			}
			if !bytes.Equal(got, bytes.Repeat(line, 2000)) {
				t.Errorf("%d bytes differ", len(got))
			}
			if info, err := l.bucket.Stat(t.Context(), part.Name); err != nil || part.Compressed() && info.Size > part.Bytes/50 {
				t.Errorf("stored as %+v, %v", info, err)
			}
			if err := l.DropStage(t.Context(), "run-1"); err != nil {
				t.Fatal(err)
			}
			if _, err := l.OpenPart(t.Context(), part); !errors.Is(err, weir.ErrNotFound) {
				t.Errorf("still there: %v", err)
			}
			if err := l.DropStage(t.Context(), "run-1"); err != nil {
				t.Errorf("second drop: %v", err)
			}
			for _, bad := range []string{"", "a/b"} {
				if err := l.DropStage(t.Context(), bad); err == nil {
					t.Errorf("dropped %q", bad)
				}
			}
		})
	}
}

func TestTableOnS3(t *testing.T) {
	l := openS3(t)
	tb := create(t, l, people)
	var want []string
	for i := range 4 {
		want = append(want, fmt.Sprintf(`{"_id":"r%d","visits":%d}`, i, i))
		tb = appendRows(t, tb, fmt.Sprintf("B%d", i), want[i])
	}
	if d := cmp.Diff(want, rows(t, tb, -1)); d != "" {
		t.Error(d)
	}
	if n, err := tb.Rows(t.Context()); n != 4 || err != nil {
		t.Errorf("%d rows, %v", n, err)
	}
	if !strings.HasPrefix(tb.Location(), "s3://bkt/lake/tables/acmelab_prod/people-") {
		t.Errorf("location %s", tb.Location())
	}
}
