package rest

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"io"
	"testing"
)

// packed packs a text in every way, and in bad ways.
func packed(t *testing.T, plain []byte) map[string][]byte {
	t.Helper()
	pack := func(open func(io.Writer) io.WriteCloser, data []byte) []byte {
		var b bytes.Buffer
		w := open(&b)
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	gz := func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }
	archive := func(files ...[]byte) []byte {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		if _, err := z.Create("folder/"); err != nil {
			t.Fatal(err)
		}
		for i, f := range files {
			w, err := z.Create("folder/" + string(rune('a'+i)))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write(f); err != nil {
				t.Fatal(err)
			}
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	blank := bytes.Repeat([]byte{' '}, 100<<20)
	zipped := pack(gz, plain)
	return map[string][]byte{
		"gzip": zipped,
		"zlib": pack(func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) }, plain),
		"raw": pack(func(w io.Writer) io.WriteCloser {
			f, err := flate.NewWriter(w, flate.BestSpeed)
			if err != nil {
				t.Fatal(err)
			}
			return f
		}, plain),
		"zip":     archive(plain, plain),
		"zipgzip": archive(zipped),
		"bomb":    pack(gz, blank),
		"zipbomb": archive(blank),
		"broken":  []byte("PK\x03\x04 not an archive"),
		"short":   zipped[:len(zipped)/2],
	}
}
