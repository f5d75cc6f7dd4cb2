package rest

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"time"

	"weir"
)

// TestMemoryFlat: one page of a size no memory should hold, with records that stream and with records that wait for a
// member behind their array: the heap stays the same from the first megabytes to the last.
func TestMemoryFlat(t *testing.T) {
	block := bytes.TrimSuffix(bytes.TrimPrefix(memberPage(200), []byte(`{"members":[`)), []byte(`],"list_id":"abc123","total_items":1000000}`))
	for name, c := range map[string]struct {
		content string
		blocks  int
	}{
		"streaming": {`"$.members"`, 800},
		"waiting":   {`{"path":"$.members"}`, 300},
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, `{"members":[`)
				for i := range c.blocks {
					if i > 0 {
						_, _ = io.WriteString(w, ",")
					}
					if _, err := w.Write(block); err != nil {
						return
					}
				}
				_, _ = io.WriteString(w, `],"list_id":"abc123"}`)
			}))
			defer srv.Close()
			s := open(t, binding(srv.URL, `{"urlParams":{"host":"$HOST","path":"/"},"contentPath":`+c.content+`}`), func(o *Options) { o.Limits.Idle, o.Limits.Header, o.TempDir = time.Minute, time.Minute, t.TempDir() })
			var before, now runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			records, chunks := 0, 0
			var bytesRead int64
			var peak uint64
			for ch, err := range s.Pages(t.Context(), weir.Window{End: time.Now()}, nil) {
				if err != nil {
					t.Fatal(err)
				}
				if len(ch.Data) > 2*segmentSize {
					t.Errorf("a chunk of %d bytes", len(ch.Data))
				}
				records += ch.Records
				bytesRead += ch.Bytes
				if chunks++; chunks%16 == 0 {
					runtime.GC()
					runtime.ReadMemStats(&now)
					peak = max(peak, now.HeapInuse-min(before.HeapInuse, now.HeapInuse))
				}
			}
			if want := c.blocks * 200; records != want {
				t.Errorf("%d records, want %d", records, want)
			}
			if want := int64(c.blocks) * int64(len(block)); bytesRead < want {
				t.Errorf("%d bytes told of %d", bytesRead, want)
			}
			if peak > 24<<20 {
				t.Errorf("the heap grew by %d MiB over a page of %d MiB", peak>>20, bytesRead>>20)
			}
		})
	}
}
