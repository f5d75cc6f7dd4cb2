package ingest

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"weir"
	"weir/blob"
	"weir/lake"
)

// read runs a format over a text and returns its lines.
func read(t *testing.T, text string, f weir.InputFormat) ([]string, error) {
	t.Helper()
	b, err := blob.Open(t.Context(), "mem://x")
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	l, err := lake.Open(t.Context(), b, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Write(t.Context(), "x", []byte(text)); err != nil {
		t.Fatal(err)
	}
	var out []string
	n := 0
	err = Formats[f.Format](t.Context(), l, "x", f, nil, func(line []byte, records int) error {
		n += records
		if len(line) == 0 || line[len(line)-1] != '\n' {
			t.Errorf("no whole line: %q", line)
		}
		out = append(out, strings.TrimSuffix(string(line), "\n"))
		return nil
	})
	if n != len(out) {
		t.Errorf("%d records counted, %d lines", n, len(out))
	}
	return out, err
}

func TestFormats(t *testing.T) {
	csv := weir.InputFormat{Format: "csv"}
	long := strings.Repeat("x", 300<<10) // longer than the read buffer
	for _, c := range []struct {
		name, text string
		f          weir.InputFormat
		want       []string
	}{
		{"json lines", "{\"a\":1}\n\n  {\"a\":2}\r\n{\"a\":3}", weir.InputFormat{Format: "json"}, []string{`{"a":1}`, `{"a":2}`, `{"a":3}`}},
		{"byte order mark", "\xef\xbb\xbf{\"a\":1}\n", weir.InputFormat{Format: "json"}, []string{`{"a":1}`}},
		{"array in a line", "[{\"a\":1}, {\"a\":2}]\n{\"a\":3}\n", weir.InputFormat{Format: "json"}, []string{`{"a":1}`, `{"a":2}`, `{"a":3}`}},
		{"broken line stays", "{\"a\":\n{\"a\":2}\n", weir.InputFormat{Format: "json"}, []string{`{"a":`, `{"a":2}`}},
		{"long line", `{"a":"` + long + `"}`, weir.InputFormat{Format: "json"}, []string{`{"a":"` + long + `"}`}},
		{"document", "[\n {\"a\" : 1},\n {\"a\":\n2}\n]", weir.InputFormat{Format: "json", IsMultiLineJSON: true}, []string{`{"a":1}`, `{"a":2}`}},
		{"one object", "{\"a\" :\n 1}", weir.InputFormat{Format: "json", IsMultiLineJSON: true}, []string{`{"a":1}`}},
		{"csv", "a,b\n1,x\n2,\n", csv, []string{`{"a":"1","b":"x"}`, `{"a":"2"}`}},
		{"csv quotes", "a,b\r\n\"x,\"\"y\"\"\",\"line\nbreak\"\r\n\"a\\\"b\",c\\d\r\n", csv, []string{`{"a":"x,\"y\"","b":"line\nbreak"}`, `{"a":"a\"b","b":"c\\d"}`}},
		{"csv objects", "_id,p.n.first,p.n.last,p.age\n1,Ida,,\n2,,,7\n3,,,\n", csv, []string{`{"_id":"1","p":{"n":{"first":"Ida"}}}`, `{"_id":"2","p":{"age":"7"}}`, `{"_id":"3"}`}},
		{"csv nothing", "a\n\n\"\"\n", csv, nil},
		{"csv delimiter", "a;b\n1;'x;y'\n", weir.InputFormat{Format: "csv", Delimiter: ";", Quote: "'"}, []string{`{"a":"1","b":"x;y"}`}},
		{"csv tab", "a\tb\n1\t2\n", weir.InputFormat{Format: "csv", Delimiter: `\t`}, []string{`{"a":"1","b":"2"}`}},
		{"csv null", "a,b\nNULL,2\n", weir.InputFormat{Format: "csv", NullMarker: "NULL"}, []string{`{"b":"2"}`}},
		{"csv latin", "a\n\xe9\n", weir.InputFormat{Format: "csv", Charset: "ISO-8859-1"}, []string{`{"a":"é"}`}},
		{"csv surplus is corrupt", "a,b\n1,2,3\n4,5\n", csv, []string{`"1,2,3"}`, `{"a":"4","b":"5"}`}},
		{"csv open quote is corrupt", "a,b\n1,\"2\n", csv, []string{"\"1,2\\n\"}"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := read(t, c.text, c.f)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestBrokenDocumentIsOneCorruptRecord(t *testing.T) {
	got, err := read(t, `[{"a":1},{"a":`, weir.InputFormat{Format: "json", IsMultiLineJSON: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0] != `{"a":1}` || json.Valid([]byte(got[1])) {
		t.Errorf("%q", got)
	}
}

func TestFaultsOfWholeFiles(t *testing.T) {
	for _, c := range []struct {
		text string
		f    weir.InputFormat
		code string
	}{
		{",,\n1,2,3\n", weir.InputFormat{Format: "csv"}, "INGEST-118-400"},
		{"a,a\n1,2\n", weir.InputFormat{Format: "csv"}, "INGEST-118-400"},
		{"\n1\n", weir.InputFormat{Format: "csv"}, "INGEST-118-400"},
		{"", weir.InputFormat{Format: "csv"}, "INGEST-118-400"},
		{"a\n", weir.InputFormat{Format: "csv", Delimiter: "::"}, "INGEST-1000-400"},
		{"no parquet", weir.InputFormat{Format: "parquet"}, "INGEST-1002-400"},
		{`{"a":"` + strings.Repeat("x", maxLine) + `"}`, weir.InputFormat{Format: "json"}, "INGEST-1002-400"},
	} {
		if _, err := read(t, c.text, c.f); weir.CodeOf(err) != c.code {
			t.Errorf("%.20q: %v, want %s", c.text, err, c.code)
		}
	}
}

// FuzzCSV holds that any text is read to its end, that every line is one JSON object or is corrupt, and that well-formed fields come back.
func FuzzCSV(f *testing.F) {
	for _, s := range []string{"a,b\n1,2\n", "a\n\"x\"\"y\"\n", "a,b\n\"1\n", "a\r\n1\r\n\r\n", "a\\,b\n", "\"a\",\"b\"\n,\n", "\xff\n\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := NewCSV(bufio.NewReader(strings.NewReader(text)), weir.InputFormat{})
		if err != nil {
			t.Fatal(err)
		}
		for {
			row, err := r.Read()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil || len(row) == 0 {
				t.Fatalf("%q: %q, %v", text, row, err)
			}
		}
		if strings.Contains(text, `\`) || strings.ContainsRune(text, '\uFFFD') || !utf8.ValidString(text) {
			return
		}
		quoted := fmt.Sprintf("\"%s\",b\n", strings.ReplaceAll(text, `"`, `""`))
		r, _ = NewCSV(bufio.NewReader(strings.NewReader(quoted)), weir.InputFormat{})
		row, err := r.Read()
		if err != nil || len(row) != 2 || row[1] != "b" || row[0] != text {
			t.Fatalf("%q came back as %q, %v", text, row, err)
		}
	})
}
