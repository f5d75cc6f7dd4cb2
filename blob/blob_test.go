package blob

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"weir"
)

// urls makes a URL of a fresh bucket for every opener. An opener without a line here fails the test.
var urls = map[string]func(t *testing.T) string{
	"file": func(t *testing.T) string {
		t.Helper()
		return "file://" + filepath.Join(t.TempDir(), "a dir+é%20", "b")
	},
	"mem": func(*testing.T) string { return "mem://test" },
	"s3": func(t *testing.T) string {
		t.Helper()
		backend := s3mem.New()
		if err := backend.CreateBucket("bkt"); err != nil {
			t.Fatal(err)
		}
		srv := httptest.NewServer(gofakes3.New(backend).Server())
		t.Cleanup(srv.Close)
		t.Setenv("AWS_ACCESS_KEY_ID", "k")
		t.Setenv("AWS_SECRET_ACCESS_KEY", "s")
		return "s3://bkt/some/prefix?region=us-east-1&use_path_style=true&endpoint=" + srv.URL
	},
}

func TestConformance(t *testing.T) {
	for scheme := range openers {
		t.Run(scheme, func(t *testing.T) {
			fresh := urls[scheme]
			if fresh == nil {
				t.Fatalf("no test bucket for %s", scheme)
			}
			b, err := Open(t.Context(), fresh(t))
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			for _, c := range conformance {
				t.Run(c.name, func(t *testing.T) { c.run(t, b) })
			}
		})
	}
}

var conformance = []struct {
	name string
	run  func(t *testing.T, b *Bucket)
}{
	{"write and read back", testRoundTrip},
	{"nothing before close, nothing after abort", testAtomic},
	{"replace", testReplace},
	{"ranges", testRanges},
	{"missing", testMissing},
	{"list", testList},
	{"delete", testDelete},
	{"uri", testURI},
	{"large", testLarge},
}

func names(t *testing.T, seq func(func(Info, error) bool)) []string {
	t.Helper()
	var out []string
	for o, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, o.Name)
	}
	return out
}

func testRoundTrip(t *testing.T, b *Bucket) {
	t.Helper()
	if err := b.Write(t.Context(), "rt/a.json", []byte(`{"a":1}`)); err != nil {
		t.Fatal(err)
	}
	got, err := b.Read(t.Context(), "rt/a.json")
	if err != nil || string(got) != `{"a":1}` {
		t.Fatalf("read %q, %v", got, err)
	}
	info, err := b.Stat(t.Context(), "rt/a.json")
	if err != nil || info.Size != 7 || time.Since(info.ModTime) > time.Hour {
		t.Fatalf("stat %+v, %v", info, err)
	}
	if err := b.Write(t.Context(), "rt/empty", nil); err != nil {
		t.Fatal(err)
	}
	if got, err := b.Read(t.Context(), "rt/empty"); err != nil || len(got) != 0 {
		t.Fatalf("empty: %q, %v", got, err)
	}
}

func testAtomic(t *testing.T, b *Bucket) {
	t.Helper()
	w, err := b.NewWriter(t.Context(), "at/x")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, "half"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Stat(t.Context(), "at/x"); !errors.Is(err, weir.ErrNotFound) {
		t.Fatalf("visible before Close: %v", err)
	}
	if got := names(t, b.List(t.Context(), "at/")); len(got) != 0 {
		t.Fatalf("listed before Close: %v", got)
	}
	w.Abort()
	w.Abort()
	if _, err := b.Stat(t.Context(), "at/x"); !errors.Is(err, weir.ErrNotFound) {
		t.Fatalf("visible after Abort: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	w, err = b.NewWriter(ctx, "at/y")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(w, "half")
	cancel()
	if err := w.Close(); err == nil {
		t.Fatal("Close after cancel succeeded")
	}
	if _, err := b.Stat(t.Context(), "at/y"); !errors.Is(err, weir.ErrNotFound) {
		t.Fatalf("visible after cancel: %v", err)
	}
}

func testReplace(t *testing.T, b *Bucket) {
	t.Helper()
	for _, v := range []string{"first, the longer one", "second"} {
		if err := b.Write(t.Context(), "rep/x", []byte(v)); err != nil {
			t.Fatal(err)
		}
		if got, err := b.Read(t.Context(), "rep/x"); err != nil || string(got) != v {
			t.Fatalf("%q, %v", got, err)
		}
	}
}

func testRanges(t *testing.T, b *Bucket) {
	t.Helper()
	data := []byte("0123456789")
	if err := b.Write(t.Context(), "rg/x", data); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		off, n int64
		want   string
	}{{0, 3, "012"}, {3, 4, "3456"}, {8, -1, "89"}, {8, 100, "89"}, {0, -1, "0123456789"}, {4, 0, ""}} {
		r, err := b.NewReader(t.Context(), "rg/x", c.off, c.n)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		_ = r.Close()
		if err != nil || string(got) != c.want {
			t.Errorf("[%d,%d): %q, %v; want %q", c.off, c.n, got, err, c.want)
		}
	}
	f, err := b.OpenFile(t.Context(), "rg/x")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p := make([]byte, 4)
	if n, err := f.ReadAt(p, 8); n != 2 || !errors.Is(err, io.EOF) {
		t.Errorf("ReadAt over the end: %d, %v", n, err)
	}
	if n, err := f.ReadAt(p, 2); n != 4 || err != nil || string(p) != "2345" {
		t.Errorf("ReadAt: %d, %v, %q", n, err, p)
	}
	if at, err := f.Seek(-3, io.SeekEnd); at != 7 || err != nil {
		t.Errorf("Seek: %d, %v", at, err)
	}
	if got, err := io.ReadAll(f); err != nil || string(got) != "789" {
		t.Errorf("read after seek: %q, %v", got, err)
	}
	if f.Size() != 10 {
		t.Errorf("size %d", f.Size())
	}
}

func testMissing(t *testing.T, b *Bucket) {
	t.Helper()
	_, err := b.Read(t.Context(), "no/such")
	_, err2 := b.Stat(t.Context(), "no/such")
	_, err3 := b.OpenFile(t.Context(), "no/such")
	_, err4 := b.Read(t.Context(), "../../etc/passwd")
	for i, e := range []error{err, err2, err3, err4} {
		if !errors.Is(e, weir.ErrNotFound) {
			t.Errorf("%d: %v is not ErrNotFound", i, e)
		}
	}
	if err := b.Delete(t.Context(), "no/such"); err != nil {
		t.Errorf("delete of nothing: %v", err)
	}
	if err := b.Write(t.Context(), "../up", nil); err == nil {
		t.Error("wrote outside the bucket")
	}
}

func testList(t *testing.T, b *Bucket) {
	t.Helper()
	for _, n := range []string{"ls/a", "ls/b/1", "ls/b/2", "ls/c", "ls2/x"} {
		if err := b.Write(t.Context(), n, []byte(n)); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		prefix string
		dir    bool
		want   []string
	}{
		{"ls/", false, []string{"ls/a", "ls/b/1", "ls/b/2", "ls/c"}},
		{"ls/b", false, []string{"ls/b/1", "ls/b/2"}},
		{"ls", false, []string{"ls/a", "ls/b/1", "ls/b/2", "ls/c", "ls2/x"}},
		{"ls/", true, []string{"ls/a", "ls/b/", "ls/c"}},
		{"ls", true, []string{"ls/a", "ls/b/", "ls/c"}},
		{"none/", false, nil},
	} {
		seq := b.List(t.Context(), c.prefix)
		if c.dir {
			seq = b.ListDir(t.Context(), c.prefix)
		}
		if d := cmp.Diff(c.want, names(t, seq)); d != "" {
			t.Errorf("list %q: %s", c.prefix, d)
		}
	}
}

func testDelete(t *testing.T, b *Bucket) {
	t.Helper()
	for i := range 12 {
		if err := b.Write(t.Context(), fmt.Sprintf("del/%d/x", i), []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Write(t.Context(), "del-not/x", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := b.Delete(t.Context(), "del/3/x"); err != nil {
		t.Fatal(err)
	}
	if got := names(t, b.List(t.Context(), "del/")); len(got) != 11 {
		t.Fatalf("%d left after one delete", len(got))
	}
	if err := b.DeleteAll(t.Context(), "del/"); err != nil {
		t.Fatal(err)
	}
	if got := names(t, b.List(t.Context(), "del")); cmp.Diff([]string{"del-not/x"}, got) != "" {
		t.Fatalf("left: %v", got)
	}
	if b.dir != "" {
		if _, err := os.Stat(filepath.Join(b.dir, "del")); !os.IsNotExist(err) {
			t.Errorf("empty folders stay: %v", err)
		}
	}
	if err := b.DeleteAll(t.Context(), "/"); err == nil {
		t.Error("DeleteAll took the whole bucket")
	}
}

func testURI(t *testing.T, b *Bucket) {
	t.Helper()
	uri := b.URI("x/é +%/y.parquet")
	if !strings.HasSuffix(uri, "/x/é +%/y.parquet") || !strings.HasPrefix(uri, b.scheme+"://") {
		t.Errorf("uri %q", uri)
	}
	if b.scheme == "file" && !strings.HasPrefix(uri, "file:///") {
		t.Errorf("file uri %q", uri)
	}
	if n, ok := b.Name(uri); !ok || n != "x/é +%/y.parquet" {
		t.Errorf("name %q, %v", n, ok)
	}
	for _, bad := range []string{"file:///elsewhere/x", b.base, b.base + "/", b.base + "/../x", b.base + "x/y"} {
		if n, ok := b.Name(bad); ok {
			t.Errorf("%q is in the bucket as %q", bad, n)
		}
	}
}

// testLarge goes over the part size of a multipart upload.
func testLarge(t *testing.T, b *Bucket) {
	t.Helper()
	line := bytes.Repeat([]byte("0123456789abcde\n"), 64<<10)
	w, err := b.NewWriter(t.Context(), "big/x")
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if _, err := w.Write(line); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if info, err := b.Stat(t.Context(), "big/x"); err != nil || info.Size != int64(20*len(line)) || w.Size() != info.Size {
		t.Fatalf("%+v, %v", info, err)
	}
	r, err := b.NewReader(t.Context(), "big/x", int64(9*len(line))-8, 16)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || string(got) != "89abcde\n01234567"[0:16] {
		t.Fatalf("%q, %v", got, err)
	}
}

func TestSweepRemovesOldTemporaryFiles(t *testing.T) {
	dir := t.TempDir()
	b, err := Open(t.Context(), "file://"+dir)
	if err != nil {
		t.Fatal(err)
	}
	tmp := filepath.Join(dir, "d", "x.parquet.17ab.tmp")
	if err := os.MkdirAll(filepath.Dir(tmp), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(tmp, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	if n, err := b.Sweep(t.Context(), now, time.Hour); n != 0 || err != nil {
		t.Fatalf("swept a young file: %d, %v", n, err)
	}
	if n, err := b.Sweep(t.Context(), now.Add(2*time.Hour), time.Hour); n != 1 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	if _, err := os.Stat(tmp); !os.IsNotExist(err) {
		t.Fatal("still there")
	}
}

func TestOpenRefuses(t *testing.T) {
	for _, url := range []string{"", "x", "gs://b/p", "file://relative/x", "file://", "file:///", "/abs", "s3://"} {
		if b, err := Open(t.Context(), url); err == nil {
			t.Errorf("%q opened as %s", url, b.base)
		}
	}
}

// FuzzName holds that a valid name stays inside the bucket and survives the way to a URI and back.
func FuzzName(f *testing.F) {
	for _, s := range []string{"a/b", "../x", "a//b", "a/./b", "\\x", "a\x00", "é/日本", "a/..b", ".", "x.tmp", "..0"} {
		f.Add(s)
	}
	dir := f.TempDir()
	b, err := Open(context.Background(), "file://"+dir)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if ValidName(name) != nil {
			return
		}
		if got, ok := b.Name(b.URI(name)); !ok || got != name {
			t.Fatalf("%q came back as %q, %v", name, got, ok)
		}
		rel, err := filepath.Rel(dir, filepath.Join(dir, filepath.FromSlash(name)))
		if err != nil || rel == "." || rel == ".." || strings.HasPrefix(rel, "../") {
			t.Fatalf("%q leaves the bucket: %q, %v", name, rel, err)
		}
		if err := b.Write(t.Context(), name, []byte("x")); err != nil {
			t.Skip(err) // a folder of that name, a name too long for the disk
		}
		if got, err := b.Read(t.Context(), name); err != nil || string(got) != "x" {
			t.Fatalf("%q: %q, %v", name, got, err)
		}
	})
}
