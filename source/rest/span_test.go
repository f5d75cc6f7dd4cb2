package rest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"weir"
)

// TestRecordsThatAreNotJSON: a run takes whatever lies between the brackets of a record and leaves the judgement to the
// promotion, which rejects that record alone. A preview says what is wrong, and so does a run whose spec looks into its records.
func TestRecordsThatAreNotJSON(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"items":[{"id":1},{"id":tru},{"id":3,` + "\r" + ` "s":"}\\\""}],"n":3}`))
	}))
	defer srv.Close()
	const spec = `{"urlParams":{"host":"$HOST","path":"/"},"contentPath":"$.items"`
	records, _, err := collect(t, open(t, binding(srv.URL, spec+`}`), nil), weir.Window{End: time.Now()}, nil)
	if want := []string{`{"id":1}`, `{"id":tru}`, `{"id":3,` + "\r" + ` "s":"}\\\""}`}; err != nil || !slices.Equal(records, want) {
		t.Errorf("%q, %v", records, err)
	}
	if _, err := open(t, binding(srv.URL, spec+`}`), nil).Explore(t.Context(), weir.ExploreQuery{ObjectType: "rest", Preview: true}); err == nil || !strings.Contains(err.Error(), "unknown word") {
		t.Errorf("preview: %v", err)
	}
	_, _, err = collect(t, open(t, binding(srv.URL, spec+`,"weir":{"filter":"record.id > 0"}}`), nil), weir.Window{End: time.Now()}, nil)
	if err == nil || !strings.Contains(err.Error(), "unknown word") {
		t.Errorf("with a filter: %v", err)
	}
}

// BenchmarkSpan finds the records of a page.
func BenchmarkSpan(b *testing.B) {
	page := memberPage(5000)
	b.SetBytes(int64(len(page)))
	start := cpu(b)
	for b.Loop() {
		n := 0
		for p := bytes.IndexByte(page, '[') + 1; page[p] == '{'; n++ {
			if p, _ = spanEnd(page, p); page[p] == ',' {
				p++
			}
		}
		if n != 5000 {
			b.Fatal(n)
		}
	}
	b.ReportMetric(float64(len(page))*float64(b.N)/1e6/(cpu(b)-start).Seconds(), "MB/cpu-s")
}

// FuzzSpan: for JSON containers the end is where the full scanner finds it, wherever the buffer ends.
func FuzzSpan(f *testing.F) {
	for _, s := range []string{
		`{}`, `[]`, `{"a":"}"}`, `{"a":"\"}"}`, `{"a\\":"\\\\","b":[1,[2,{"c":"]"}]]}`, `[["[\\\"[",{}],"` + "\u00e9\u6f22" + `"]`,
		`{"a":"` + string(bytes.Repeat([]byte(`\\`), 40)) + `","b":"` + string(bytes.Repeat([]byte(`x`), 130)) + `{"}`,
	} {
		f.Add([]byte(s), byte(3))
	}
	f.Fuzz(func(t *testing.T, text []byte, pad byte) {
		text = bytes.TrimLeft(text, " \t\r\n")
		if len(text) == 0 || text[0] != '{' && text[0] != '[' {
			return
		}
		buf := append(bytes.Repeat([]byte{'"'}, int(pad)), text...)
		end, ascii := spanEnd(buf, int(pad))
		if end > len(buf) || end < 0 {
			t.Fatalf("%q ends at %d of %d", text, end-int(pad), len(text))
		}
		s := scanner{buf: text, final: true}
		want, err := s.value(0)
		if err != nil {
			return
		}
		if ascii && bytes.ContainsFunc(text[:want], func(r rune) bool { return r >= 0x80 }) {
			t.Fatalf("%q is taken for ASCII", text[:want])
		}
		if end != int(pad)+want {
			t.Fatalf("%q ends at %d, want %d", text, end-int(pad), want)
		}
		if short, _ := spanEnd(buf[:end-1], int(pad)); short != 0 {
			t.Fatalf("%q without its end ends at %d", text, short-int(pad))
		}
		if !json.Valid(text[:want]) {
			t.Fatalf("%q is no JSON", text[:want])
		}
	})
}

// TestMasks: both ways to find the bytes that matter agree, for every byte at every place.
func TestMasks(t *testing.T) {
	for at := range 64 {
		for c := range 256 {
			var b [64]byte
			for i := range b {
				b[i] = byte(i*7 + c)
			}
			b[at] = byte(c)
			var want [5]uint64
			for i, x := range b {
				if x >= 0x80 {
					want[4] |= 1 << i
				}
				switch x {
				case '"':
					want[0] |= 1 << i
				case '{', '[':
					want[1] |= 1 << i
				case '}', ']':
					want[2] |= 1 << i
				case '\\':
					want[3] |= 1 << i
				}
			}
			var plain, quick [5]uint64
			plain[0], plain[1], plain[2], plain[3], plain[4] = masksPlain(&b)
			quick[0], quick[1], quick[2], quick[3], quick[4] = masks(&b)
			if plain != want || quick != want {
				t.Fatalf("%x: plain %x, quick %x, want %x", b, plain, quick, want)
			}
		}
	}
}
