package rest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/rogpeppe/go-internal/txtar"
)

// cutAll cuts one document and returns the records.
func cutAll(tb testing.TB, content, explode json.RawMessage, r io.Reader, window, spoolSize int) ([]string, *cutter, error) {
	tb.Helper()
	e := &expander{params: &params{}}
	sel, _, err := parseSelector("contentPath", content, e)
	if err != nil {
		return nil, nil, err
	}
	if sel == nil {
		sel = &selector{}
	}
	exp, _, err := parseSelector("explodeEntityPath", explode, e)
	if err != nil {
		return nil, nil, err
	}
	var out []string
	c := newCutter(sel, exp, nil, "", func(pre, rec, post []byte) error {
		out = append(out, string(pre)+string(rec)+string(post))
		return nil
	})
	c.cap = make([]byte, window)
	c.spool.bound = spoolSize
	c.begin()
	err = c.run(r)
	return out, c, err
}

func TestContent(t *testing.T) {
	files, err := filepath.Glob("testdata/content/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			a, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			part := map[string]string{}
			for _, f := range a.Files {
				part[f.Name] = strings.TrimSuffix(string(f.Data), "\n")
			}
			for _, window := range []int{4, 64, windowSize} {
				for name, r := range map[string]io.Reader{
					"whole":   strings.NewReader(part["page"]),
					"bytes":   iotest.OneByteReader(strings.NewReader(part["page"])),
					"dataerr": iotest.DataErrReader(strings.NewReader(part["page"])),
				} {
					got, _, err := cutAll(t, json.RawMessage(part["content"]), json.RawMessage(part["explode"]), r, window, 16)
					if want, fails := part["error"]; fails {
						if err == nil || !strings.Contains(err.Error(), want) {
							t.Errorf("window %d, %s: error %v, want %s", window, name, err, want)
						}
						continue
					}
					if err != nil {
						t.Errorf("window %d, %s: %v", window, name, err)
					}
					if diff := cmp.Diff(nonEmpty(part["want"]), got, cmpopts.EquateEmpty()); diff != "" {
						t.Errorf("window %d, %s (-want +got):\n%s", window, name, diff)
					}
				}
			}
		})
	}
}

func TestBadUTF8(t *testing.T) {
	for _, page := range []string{"{\"items\":[\"caf\xe9\"]}", "{\"items\":[\"long enough for a word \xc3\"]}", "{\"\xff\":1}"} {
		if _, _, err := cutAll(t, json.RawMessage(`"$.items"`), nil, strings.NewReader(page), windowSize, 1<<20); err == nil || !strings.Contains(err.Error(), "UTF-8") {
			t.Errorf("%q: %v", page, err)
		}
	}
}

func TestDepthAndSizeBounds(t *testing.T) {
	deep := `{"items":[` + strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1) + `]}`
	for _, path := range []string{`"$.items"`, `"$.other"`} {
		if _, _, err := cutAll(t, json.RawMessage(path), nil, strings.NewReader(deep), 64, 1<<20); err == nil || !strings.Contains(err.Error(), "nested deeper") {
			t.Errorf("%s: %v", path, err)
		}
	}
	huge := io.MultiReader(strings.NewReader(`{"items":["`), io.LimitReader(letters{}, maxValue+10), strings.NewReader(`"]}`))
	if _, c, err := cutAll(t, json.RawMessage(`"$.items"`), nil, huge, windowSize, 1<<20); err == nil || !strings.Contains(err.Error(), "larger than 32 MiB") {
		t.Errorf("%v with a window of %d", err, len(c.cap))
	}
	// A large container nobody wants is skipped with the window as it is.
	skipped := io.MultiReader(strings.NewReader(`{"included":[`), strings.NewReader(strings.Repeat(`{"a":[1,2,{"b":"text"}]},`, 100_000)), strings.NewReader(`1],"items":[7]}`))
	got, c, err := cutAll(t, json.RawMessage(`"$.items"`), nil, skipped, windowSize, 1<<20)
	if err != nil || len(got) != 1 || len(c.cap) != windowSize {
		t.Errorf("%v %v with a window of %d", got, err, len(c.cap))
	}
	beside := `{"a":"` + strings.Repeat("x", siblingBound) + `","items":[1]}`
	if _, _, err := cutAll(t, json.RawMessage(`{"path":"$.items"}`), nil, strings.NewReader(beside), windowSize, 1<<20); err == nil || !strings.Contains(err.Error(), "skipAttributes") {
		t.Errorf("%v", err)
	}
}

// letters is an endless text.
type letters struct{}

func (letters) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// TestScannerAgrees compares the scanner with encoding/json on mutated documents.
func TestScannerAgrees(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	seed := []byte(`{"a":[1,-2.5e+3,0,true,false,null,"x\u00e9\n\\\"","é漢"],"b":{"c":{}},"d":[],"long text with many bytes":"0123456789012345678901234567890"}`)
	for range 200_000 {
		doc := bytes.Clone(seed)
		for range 1 + rng.IntN(3) {
			i := rng.IntN(len(doc))
			switch rng.IntN(3) {
			case 0:
				doc[i] = "{}[]\",:0123e+-.tfnu\\ \n\x00x"[rng.IntN(24)]
			case 1:
				doc = append(doc[:i], doc[i+1:]...)
			default:
				doc = append(doc[:i], append([]byte{seed[rng.IntN(len(seed))]}, doc[i:]...)...)
			}
		}
		agree(t, doc)
	}
}

func agree(t *testing.T, doc []byte) {
	t.Helper()
	want := json.Valid(doc) && utf8.Valid(doc)
	if utf8.Valid(doc) || !json.Valid(doc) {
		if got := checkJSON(doc) == nil; got != want {
			t.Fatalf("%q: valid %v, want %v (%v)", doc, got, want, checkJSON(doc))
		}
	}
}

func FuzzScanner(f *testing.F) {
	f.Add([]byte(`{"a":[1,2.5e-3,"x\u00e9"],"b":{}}`))
	f.Add([]byte(`[[[]],{"a":{"b":[null,true,false]}}]`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		if strings.Count(string(doc), "[")+strings.Count(string(doc), "{") > maxDepth {
			return
		}
		if bytes.HasPrefix(bytes.TrimLeft(doc, " \t\r\n"), []byte("<")) {
			return
		}
		agree(t, doc)
	})
}

func FuzzContent(f *testing.F) {
	f.Add([]byte(`{"a":1,"items":[{"id":1,"l":[1,2]},2,"x"],"b":[1]}`), `{"path":"$.items"}`, `{"path":"$.items.l"}`, 7)
	f.Add([]byte(`[{"x":{"y":[1, 2]}}]`), `"$"`, `{"path":"x.y","overrideWrapperAttribute":"w"}`, 100)
	f.Add([]byte(`{"g":[{"u":[1]},{"u":[2]}]}`), `"$.g[*].u"`, ``, 3)
	f.Fuzz(func(t *testing.T, doc []byte, content, explode string, window int) {
		if !json.Valid([]byte(content)) || explode != "" && !json.Valid([]byte(explode)) {
			return
		}
		window = 1 + (window&0xffff)%1000
		got, _, err := cutAll(t, json.RawMessage(content), json.RawMessage(explode), bytes.NewReader(doc), window, 8)
		again, _, err2 := cutAll(t, json.RawMessage(content), json.RawMessage(explode), iotest.HalfReader(bytes.NewReader(doc)), windowSize, 1<<20)
		if (err == nil) != (err2 == nil) || err == nil && !cmp.Equal(got, again, cmpopts.EquateEmpty()) {
			t.Fatalf("window %d: %q %v\nelse: %q %v", window, got, err, again, err2)
		}
		for _, r := range got {
			if !json.Valid([]byte(r)) || strings.ContainsAny(r, "\n\r") {
				t.Fatalf("record %q is not one line of JSON", r)
			}
		}
		if err == nil && utf8.Valid(doc) && !json.Valid(bytes.TrimPrefix(doc, []byte("\xef\xbb\xbf"))) {
			t.Fatalf("%q was taken for JSON", doc)
		}
	})
}

func FuzzPath(f *testing.F) {
	for _, s := range []string{"$", "$.", "$.a.b", "a.b", "$.a[*]", "['a.b']", "$[0].x", "$['it''s']", "$..x", "$[?(@.a)]", `$["a\"b"]`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parsePath(text)
		if err != nil {
			return
		}
		again, err := parsePath(p.String())
		if err != nil || !cmp.Equal(p, again, cmp.AllowUnexported(step{}), cmpopts.EquateEmpty()) {
			t.Fatalf("%q → %v → %q → %v, %v", text, p, p.String(), again, err)
		}
	})
}

func TestPaths(t *testing.T) {
	doc := []byte(`{"a":{"b":[{"c":1},{"c":2}]},"x.y":"dot","e":{},"it's":true,"@odata.nextLink":"L"}`)
	for text, want := range map[string]string{
		"$.a.b[0].c": "1", "a.b[1]": `{"c":2}`, "$.a.b[*].c": "1", "$['x.y']": `"dot"`, "$.e.f": "", "$.a.b[2]": "", `$["it's"]`: "true",
		"$['it\\'s']": "true", "$.a.*": `[{"c":1},{"c":2}]`, "$['@odata.nextLink']": `"L"`, "$.a.c": "",
	} {
		p, err := parsePath(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := string(pluck(doc, p)); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	for _, text := range []string{"$..a", "$.a[?(@.x)]", "$.a[0:2]", "$.a[-1]", "$.a[", "$.a['b", "$a b(", "$.a.", "$.a[*"} {
		if p, err := parsePath(text); err == nil && text != "$.a." {
			t.Errorf("%s was read as %s", text, p)
		}
	}
}

// TestHugePage keeps memory flat: the window never grows and what waits goes to a file.
func TestSpoolFile(t *testing.T) {
	const n = 20000
	var doc bytes.Buffer
	doc.WriteString(`{"items":[`)
	for i := range n {
		if i > 0 {
			doc.WriteByte(',')
		}
		fmt.Fprintf(&doc, `{"id":%d,"pad":%q}`, i, strings.Repeat("p", i%300))
	}
	doc.WriteString(`],"after":"yes"}`)
	got, c, err := cutAll(t, json.RawMessage(`{"path":"$.items"}`), nil, &doc, 4096, 10_000)
	if err != nil || len(got) != n || !strings.HasPrefix(got[n-1], `{"after":"yes","items":{"id":19999,`) {
		t.Fatalf("%d records, %v", len(got), err)
	}
	if cap(c.spool.mem) > 20_000 {
		t.Errorf("%d bytes waited in memory", cap(c.spool.mem))
	}
}
