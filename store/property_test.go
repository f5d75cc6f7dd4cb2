package store

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir"
)

// cases reads the lines of a data file, without comments.
func cases(tb testing.TB, name string) (lines []string) {
	tb.Helper()
	raw, err := os.ReadFile("testdata/" + name)
	if err != nil {
		tb.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		if line = strings.TrimRight(line, "\n"); line != "" && !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	return lines
}

var opNames = map[Op]string{Eq: "==", Ne: "!=", Lt: "<", Le: "<=", Gt: ">", Ge: ">="}

// meaning writes down what ParseProperty returns.
func meaning(where []Cond, project []string, err *weir.Error) string {
	if err != nil {
		return err.Code
	}
	var parts []string
	if len(project) > 0 {
		parts = append(parts, "project "+strings.Join(project, ","))
	}
	for _, c := range where {
		op := opNames[c.Op]
		if c.Fold {
			op += "~"
		}
		parts = append(parts, strings.Join(c.Path, ".")+" "+op+" ["+strings.Join(c.Values, " | ")+"]")
	}
	if parts == nil {
		return "nothing"
	}
	return strings.Join(parts, " & ")
}

func TestParseProperty(t *testing.T) {
	known := func(first string) bool { return first != "nope" }
	for _, line := range cases(t, "property.txt") {
		in, want, _ := strings.Cut(line, "=> ")
		if i := strings.LastIndex(line, " => "); i >= 0 {
			in, want = line[:i], line[i+4:]
		}
		if got := meaning(ParseProperty(strings.Split(in, " && "), known)); got != want {
			t.Errorf("%s\n is %s\nnot %s", in, got, want)
		}
	}
}

// TestSecretsAnswerTheSame is flow-service R29: nothing about the answer depends on the value.
func TestSecretsAnswerTheSame(t *testing.T) {
	_, _, a := ParseProperty([]string{"auth.params.token==hunter2"}, nil)
	_, _, b := ParseProperty([]string{"auth.params.token==wrong"}, nil)
	if diff := cmp.Diff(a.Error(), b.Error()); diff != "" || strings.Contains(a.Error(), "hunter2") {
		t.Errorf("answers differ or tell: %s %s", a, b)
	}
	if _, err := ParseOrderBy("-auth.params.token", nil); err == nil || err.Code != "FLOW-1433-400" {
		t.Errorf("order by a secret: %v", err)
	}
	each(t, func(t *testing.T, s testStore) {
		t.Helper()
		insert(t, s, doc(weir.KindConnection, "c", `{"auth":{"params":{"token":"hunter2"}}}`))
		secret := []string{"auth", "params", "token"}
		for _, q := range []Query{
			{Where: []Cond{{Path: secret, Op: Eq, Values: []string{"hunter2"}}}},
			{Where: []Cond{{Path: secret, Op: Exists}}},
			{Order: []Order{{Path: secret}}},
		} {
			q.Kind, q.Scopes = weir.KindConnection, []weir.Scope{prod}
			_, _, err := s.tryFind(t.Context(), q)
			var fault *weir.Error
			if !errors.As(err, &fault) || fault.Status() != 400 {
				t.Errorf("%+v: %v", q, err)
			}
		}
	})
}

func TestParseOrderBy(t *testing.T) {
	known := func(first string) bool { return first != "nope" }
	for in, want := range map[string]string{
		"":                           "",
		"  ":                         "",
		"name":                       "name",
		"+name":                      "name",
		" name":                      "name",
		"-name":                      "-name",
		"-createdAt, name,+a.b[].c":  "-createdAt name a.b.c",
		"- name":                     "-name",
		"nope":                       "FLOW-1433-400",
		"name,":                      "FLOW-1433-400",
		"-":                          "FLOW-1433-400",
		"name;DROP TABLE documents":  "FLOW-1433-400",
		"name desc":                  "name desc",
		"*name":                      "FLOW-1432-400",
		"--name":                     "FLOW-1432-400",
		"~name":                      "FLOW-1432-400",
		"a,b,c,d,e,f,g,h,i":          "FLOW-1433-400",
		`a"b`:                        "FLOW-1433-400",
		"auth.params":                "FLOW-1433-400",
		"metrics.durationSummary.at": "metrics.durationSummary.at",
	} {
		orders, err := ParseOrderBy(in, known)
		var got []string
		for _, o := range orders {
			name := strings.Join(o.Path, ".")
			if o.Desc {
				name = "-" + name
			}
			got = append(got, name)
		}
		if err != nil {
			got = []string{err.Code}
		}
		if text := strings.Join(got, " "); text != want {
			t.Errorf("%q is %q, not %q", in, text, want)
		}
	}
}

func TestFindByProperty(t *testing.T) {
	each(t, func(t *testing.T, s testStore) {
		t.Helper()
		for _, line := range cases(t, "find.txt") {
			filter, isFilter := strings.CutPrefix(line, "? ")
			if !isFilter {
				id, rest, _ := strings.Cut(line, " ")
				d := doc(weir.KindFlow, id, rest)
				dec := json.NewDecoder(strings.NewReader(rest))
				if err := dec.Decode(&d.Body); err != nil {
					t.Fatal(err)
				}
				if dec.More() {
					if err := dec.Decode(&d.Meta); err != nil {
						t.Fatal(err)
					}
				}
				insert(t, s, d)
				continue
			}
			i := strings.LastIndex(filter, " =>")
			where, _, perr := ParseProperty(strings.Split(filter[:i], " && "), nil)
			if perr != nil {
				t.Fatal(perr)
			}
			ids, _, err := s.tryFind(t.Context(), Query{
				Kind: weir.KindFlow, Scopes: []weir.Scope{prod}, Where: where, Order: []Order{{Path: []string{"id"}}},
			})
			if err != nil {
				t.Errorf("%s: %v", filter, err)
			} else if got, want := strings.Join(ids, " "), strings.TrimSpace(filter[i+3:]); got != want {
				t.Errorf("%s, but found %s", filter, got)
			}
		}
	})
}

// FuzzParseProperty holds that whatever is parsed can be asked of a database, with bound values only, and that known decides.
func FuzzParseProperty(f *testing.F) {
	for _, line := range cases(f, "property.txt") {
		in, _, _ := strings.Cut(line, " =>")
		f.Add(in)
	}
	for _, line := range cases(f, "find.txt") {
		if in, ok := strings.CutPrefix(line, "? "); ok {
			in, _, _ = strings.Cut(in, " =>")
			f.Add(in)
		}
	}
	dialects := []*dialect{sqliteDialect(), postgresDialect()}
	f.Fuzz(func(t *testing.T, in string) {
		var asked []string
		where, project, err := ParseProperty([]string{in}, func(first string) bool {
			asked = append(asked, first)
			return true
		})
		if err != nil {
			if err.Status() != 400 || err.Family() != "FLOW" {
				t.Fatalf("%q: %v", in, err)
			}
			return
		}
		for _, c := range where {
			if !slices.Contains(asked, c.Path[0]) || len(c.Values) == 0 || secretPath(c.Path) {
				t.Fatalf("%q gives %+v", in, c)
			}
		}
		for _, p := range project {
			if checkPath(strings.Split(p, ".")) != nil {
				t.Fatalf("%q projects %q", in, p)
			}
		}
		for _, d := range dialects {
			b := builder{d: d}
			text, err := b.where(Query{Kind: weir.KindFlow, Scopes: []weir.Scope{prod}, Where: where})
			if err != nil {
				t.Fatalf("%q: %v", in, err)
			}
			if word := foreignWord(text); word != "" {
				t.Fatalf("%q puts %q into the statement %s", in, word, text)
			}
		}
	})
}

// foreignWord finds a character in a statement that only a client's text could have brought there.
func foreignWord(statement string) string {
	for _, r := range statement {
		if r > 126 || r < ' ' || r == ';' || r == '\\' || r == '#' && !strings.Contains(statement, "#>>") {
			return string(r)
		}
	}
	if strings.Contains(statement, "--") {
		return "--"
	}
	return ""
}
