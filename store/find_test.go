package store

import (
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir"
)

func path(dotted string) []string { return strings.Split(dotted, ".") }

func asc(dotted string) Order  { return Order{Path: path(dotted)} }
func desc(dotted string) Order { return Order{Path: path(dotted), Desc: true} }

// TestPagesAreExactAndStable walks pages of every size while other documents come and go.
func TestPagesAreExactAndStable(t *testing.T) {
	each(t, func(t *testing.T, s testStore) {
		t.Helper()
		// 30 documents in 6 moments: five share each createdAt.
		var want []string
		for moment := range 6 {
			var same []string
			for range 5 {
				d := doc(weir.KindFlow, "", fmt.Sprintf(`{"name":"n%d","n":%d}`, moment%2, moment))
				insert(t, s, d)
				same = append(same, d.ID)
			}
			slices.Sort(same)
			want = append(same, want...)
			s.clock.ms.Add(1)
		}
		q := Query{Kind: weir.KindFlow, Scopes: []weir.Scope{prod}}
		all, next := s.find(t, q)
		if diff := cmp.Diff(want, all); diff != "" || next != "" {
			t.Fatalf("newest first, then by id: %s (next %q)", diff, next)
		}
		for _, size := range []int{1, 2, 3, 5, 7, 29, 30, 31} {
			q.Limit = size
			if diff := cmp.Diff(want, walk(t, s, q)); diff != "" {
				t.Errorf("pages of %d: %s", size, diff)
			}
		}
		// After the first page, newer documents appear and one of the page goes: the rest is as it was.
		q.Limit = 7
		page, token := s.find(t, q)
		insert(t, s, doc(weir.KindFlow, "0-new", `{}`), doc(weir.KindFlow, "z-new", `{}`))
		s.tx(t, func(tx *Tx) error { return tx.Delete(weir.KindFlow, prod, page[6]) })
		q.After = token
		if diff := cmp.Diff(want[7:], walk(t, s, q)); diff != "" {
			t.Errorf("the rest after inserts and a delete: %s", diff)
		}
	})
}

func TestOrder(t *testing.T) {
	bodies := map[string]string{
		"a": `{"name":"b","v":10,"w":{"x":0.1}}`, "b": `{"name":"a","v":9.5,"w":{"x":0.30000000000000004}}`, "c": `{"name":"B","v":"9","w":{"x":0.3}}`,
		"d": `{"name":"é","v":"10"}`, "e": `{"v":true,"w":{"x":12345678901234567}}`, "f": `{"name":"a","v":null,"w":{"x":12345678901234568}}`,
		"g": `{"name":"a","v":[1]}`, "h": `{"name":"a b","v":-1e3,"w":[{"x":1}]}`,
	}
	orders := map[string]struct {
		order []Order
		want  string
	}{
		"text by code point, missing first":         {[]Order{asc("name")}, "e c b f g h a d"},
		"descending, ties by id":                    {[]Order{desc("name")}, "d a h b f g c e"},
		"missing, numbers, text":                    {[]Order{asc("v")}, "f g h b a d c e"},
		"the other way round":                       {[]Order{desc("v")}, "e c d a b h f g"},
		"a member below, doubles to the last digit": {[]Order{asc("w.x")}, "d g h a c b e f"},
		"two fields":                                {[]Order{asc("name"), desc("v")}, "e c b f g h a d"},
		"header":                                    {[]Order{desc("id")}, "h g f e d c b a"},
		"below the header":                          {[]Order{asc("id.x")}, "a b c d e f g h"},
		"by number":                                 {[]Order{asc("createdAt")}, "a b c d e f g h"},
		"newest first":                              {[]Order{desc("updatedAt")}, "h g f e d c b a"},
		"no such field":                             {[]Order{asc("nope")}, "a b c d e f g h"},
		"of a strange name":                         {[]Order{asc("meta:x/y z"), desc("@id")}, "a b c d e f g h"},
	}
	each(t, func(t *testing.T, s testStore) {
		t.Helper()
		for _, id := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
			insert(t, s, doc(weir.KindFlow, id, bodies[id]))
			s.clock.ms.Add(1)
		}
		for name, c := range orders {
			for _, limit := range []int{0, 1, 3} {
				q := Query{Kind: weir.KindFlow, Scopes: []weir.Scope{prod}, Order: c.order, Limit: limit}
				if got := strings.Join(walk(t, s, q), " "); got != c.want {
					t.Errorf("%s, pages of %d: %s, want %s", name, limit, got, c.want)
				}
			}
		}
	})
}

func TestTokens(t *testing.T) {
	each(t, func(t *testing.T, s testStore) {
		t.Helper()
		for i := range 4 {
			insert(t, s, doc(weir.KindFlow, fmt.Sprint(i), fmt.Sprintf(`{"name":"=&%% ü%d","n":%d.5}`, i, i)))
		}
		q := Query{Kind: weir.KindFlow, Scopes: []weir.Scope{prod}, Limit: 2, Order: []Order{desc("name"), asc("n")}}
		_, token := s.find(t, q)
		if !regexp.MustCompile(`^[A-Za-z0-9_-]+$`).MatchString(token) {
			t.Errorf("token %q", token)
		}
		q.After = token
		if ids, next := s.find(t, q); strings.Join(ids, " ") != "1 0" || next != "" {
			t.Errorf("second page %v, next %q", ids, next)
		}
		forge := func(content string) string { return base64.RawURLEncoding.EncodeToString([]byte(content)) }
		var good struct {
			O string   `json:"o"`
			V []string `json:"v"`
		}
		raw, _ := base64.RawURLEncoding.DecodeString(token)
		if err := json.Unmarshal(raw, &good); err != nil {
			t.Fatal(err)
		}
		bad := map[string]string{
			"no base64":    "%%%",
			"padding":      token + "=",
			"cut":          token[:len(token)-3],
			"other JSON":   forge(`[1]`),
			"no values":    forge(`{"o":"` + good.O + `","v":[]}`),
			"other order":  forge(`{"o":"zz","v":["1","0","a","1","0.5","","0"]}`),
			"text for int": forge(`{"o":"` + good.O + `","v":["x","0","a","1","0.5","","0"]}`),
			"text for num": forge(`{"o":"` + good.O + `","v":["2","0;--","a","1","0.5","","0"]}`),
			"NUL":          forge(`{"o":"` + good.O + `","v":["2","0","a\u0000","1","0.5","","0"]}`),
		}
		for name, after := range bad {
			q.After = after
			if _, _, err := s.tryFind(t.Context(), q); !errors.Is(err, ErrToken) {
				t.Errorf("%s: %v", name, err)
			}
		}
		q.After, q.Order = token, nil
		_, _, err := s.tryFind(t.Context(), q)
		wantErr(t, err, ErrToken)
		q.Order, q.Kind = []Order{desc("name"), asc("n")}, weir.KindRun
		_, _, err = s.tryFind(t.Context(), q)
		wantErr(t, err, ErrToken)
	})
}

func TestOperators(t *testing.T) {
	bodies := map[string]string{
		"a": `{"name":"Acme Größe","tags":{"x/y":"1","z.w":"2"},"list":["ab","cd"]}`,
		"b": `{"name":"acme*nightly","tags":{"x/y":null},"list":[]}`,
		"c": `{"name":"50%_[a]?\\","list":[{"k":"v"}]}`,
		"d": `{"n":12}`,
	}
	conds := []struct {
		cond Cond
		want string
	}{
		{Cond{Path: path("name"), Op: Contains, Values: []string{"cme"}}, "a b"},
		{Cond{Path: path("name"), Op: Contains, Values: []string{"CME"}}, ""},
		{Cond{Path: path("name"), Op: Contains, Values: []string{"ACME grÖSSE", "NIGHT"}, Fold: true}, "b"},
		{Cond{Path: path("name"), Op: Contains, Values: []string{"GRÖßE"}, Fold: true}, "a"},
		{Cond{Path: path("name"), Op: Contains, Values: []string{"%"}}, "c"},
		{Cond{Path: path("name"), Op: Prefix, Values: []string{"Ac", "50%_"}}, "a c"},
		{Cond{Path: path("name"), Op: Prefix, Values: []string{"aC"}, Fold: true}, "a b"},
		{Cond{Path: path("name"), Op: Like, Values: []string{"acme***"}}, "b"},
		{Cond{Path: path("name"), Op: Like, Values: []string{"*e**n*y"}}, "b"},
		{Cond{Path: path("name"), Op: Like, Values: []string{"a*E"}, Fold: true}, "a"},
		{Cond{Path: path("name"), Op: Like, Values: []string{`50%_[a]?\`}}, "c"},
		{Cond{Path: path("name"), Op: Like, Values: []string{`50?_*`, "x*"}}, ""},
		{Cond{Path: path("name"), Op: Like, Values: []string{`*`}}, "a b c"},
		{Cond{Path: path("name"), Op: NotLike, Values: []string{`*cme*`}}, "c d"},
		{Cond{Path: path("name"), Op: Eq, Values: []string{"ACME GRÖßE"}, Fold: true}, "a"},
		{Cond{Path: path("name"), Op: Exists}, "a b c"},
		{Cond{Path: path("name"), Op: Missing}, "d"},
		{Cond{Path: []string{"tags", "x/y"}, Op: Exists}, "a"},
		{Cond{Path: []string{"tags", "z.w"}, Op: Eq, Values: []string{"2"}}, "a"},
		{Cond{Path: path("tags"), Op: Exists}, "a b"},
		{Cond{Path: path("list"), Op: Exists}, "a b c"},
		{Cond{Path: path("list.k"), Op: Exists}, "c"},
		{Cond{Path: path("list"), Op: Contains, Values: []string{"b"}}, "a"},
		{Cond{Path: path("list"), Op: Like, Values: []string{"c*"}}, "a"},
		{Cond{Path: path("n"), Op: Contains, Values: []string{"1"}}, ""},
		{Cond{Path: path("id"), Op: Like, Values: []string{"*"}}, "a b c d"},
		{Cond{Path: path("id"), Op: Contains, Values: []string{"B"}, Fold: true}, "b"},
		{Cond{Path: path("id"), Op: Exists}, "a b c d"},
		{Cond{Path: path("state"), Op: Missing}, ""},
		{Cond{Path: path("createdAt"), Op: Exists}, "a b c d"},
	}
	each(t, func(t *testing.T, s testStore) {
		t.Helper()
		for id, body := range bodies {
			insert(t, s, doc(weir.KindDataset, id, body))
		}
		q := Query{Kind: weir.KindDataset, Scopes: []weir.Scope{prod}, Order: []Order{asc("id")}}
		for _, c := range conds {
			q.Where = []Cond{c.cond}
			if ids, _ := s.find(t, q); strings.Join(ids, " ") != c.want {
				t.Errorf("%v: %v, want %s", c.cond, ids, c.want)
			}
		}
		for _, c := range []struct {
			cond Cond
			code string
		}{
			{Cond{Path: path("n"), Op: Lt, Values: []string{"1", "2"}}, "FLOW-1443-400"},
			{Cond{Path: path("n"), Op: Eq}, "FLOW-1443-400"},
			{Cond{Path: path("n"), Op: Exists, Values: []string{"1"}}, "FLOW-1443-400"},
			{Cond{Path: path("n"), Op: Eq, Values: make([]string, 1001)}, "FLOW-1443-400"},
			{Cond{Path: path("n"), Op: 99, Values: []string{"1"}}, "FLOW-1450-400"},
			{Cond{Path: path("createdAt"), Op: Like, Values: []string{"1*"}}, "FLOW-1452-400"},
			{Cond{Path: path("createdAt"), Op: Prefix, Values: []string{"1"}}, "FLOW-1450-400"},
			{Cond{Path: nil, Op: Exists}, "FLOW-1449-400"},
			{Cond{Path: []string{`a"b`}, Op: Exists}, "FLOW-1449-400"},
			{Cond{Path: []string{strings.Repeat("x", 200)}, Op: Exists}, "FLOW-1449-400"},
		} {
			q.Where = []Cond{c.cond}
			if _, _, err := s.tryFind(t.Context(), q); weir.CodeOf(err) != c.code {
				t.Errorf("%.80v: %v, want %s", c.cond, err, c.code)
			}
		}
	})
}

func TestOffsetAndKeep(t *testing.T) {
	each(t, func(t *testing.T, s testStore) {
		t.Helper()
		for i := range 10 {
			insert(t, s, doc(weir.KindDataset, fmt.Sprint(i), fmt.Sprintf(`{"n":%d}`, i)))
		}
		even := func(d *weir.Doc) bool { return (d.ID[0]-'0')%2 == 0 }
		for _, c := range []struct {
			limit, offset int
			keep          func(*weir.Doc) bool
			want          string
			more          bool
		}{
			{3, 0, nil, "0 1 2", true},
			{3, 8, nil, "8 9", false},
			{0, 7, nil, "7 8 9", false},
			{5, 20, nil, "", false},
			{2, 1, even, "2 4", true},
			{2, 3, even, "6 8", false},
			{0, 0, even, "0 2 4 6 8", false},
		} {
			q := Query{
				Kind: weir.KindDataset, Scopes: []weir.Scope{prod}, Order: []Order{asc("n")},
				Limit: c.limit, Offset: c.offset, Keep: c.keep,
			}
			ids, next := s.find(t, q)
			if strings.Join(ids, " ") != c.want || (next != "") != c.more {
				t.Errorf("limit %d, offset %d: %v (next %q), want %s", c.limit, c.offset, ids, next, c.want)
			}
		}
		q := Query{Kind: weir.KindDataset, Scopes: []weir.Scope{prod}, Order: []Order{asc("n")}, Limit: 2, Keep: even}
		if got := strings.Join(walk(t, s, q), " "); got != "0 2 4 6 8" {
			t.Errorf("pages with Keep: %s", got)
		}
	})
}

// TestIndexesAreUsed asks the planners how they would answer the common lists.
func TestIndexesAreUsed(t *testing.T) {
	each(t, func(t *testing.T, s testStore) {
		t.Helper()
		for i := range 50 {
			insert(t, s, doc(weir.KindRun, "", fmt.Sprintf(`{"name":"n%d","flowId":"f"}`, i)))
		}
		_, token := s.find(t, Query{Kind: weir.KindRun, Scopes: []weir.Scope{prod}, Limit: 20})
		for _, c := range []struct{ filter, after, index string }{
			{"", "", "documents_page"},
			{"", token, "documents_page"},
			{"flowId==f", "", "documents_flow"},
			{"flowId==f", token, "documents_flow"},
			{"name==n7", "", "documents_name"},
			{"flowId==f,metrics.statusSummary.status==failed", "", "documents_flow"},
		} {
			where, _, perr := ParseProperty([]string{c.filter}, nil)
			if perr != nil {
				t.Fatal(perr)
			}
			b := builder{d: s.dialect}
			query, _, err := b.find(Query{Kind: weir.KindRun, Scopes: []weir.Scope{prod}, Where: where, Limit: 20, After: c.after})
			if err != nil {
				t.Fatal(err)
			}
			plan := s.explain(t, query, b.args)
			if !strings.Contains(plan, c.index) || strings.Contains(plan, "B-TREE") || strings.Contains(plan, "Sort") {
				t.Errorf("%s: not the index %s alone:\n%s", c.filter, c.index, plan)
			}
		}
	})
}

// explain returns the plan of a statement, as if the table were large.
func (s testStore) explain(t *testing.T, query string, args []any) (plan string) {
	t.Helper()
	words, column := "EXPLAIN QUERY PLAN ", 3
	if s.dialect.copies {
		words, column = "EXPLAIN ", 0
	}
	err := s.View(t.Context(), func(tx *Tx) error {
		if s.dialect.copies {
			if _, err := tx.sql.ExecContext(t.Context(), "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off"); err != nil {
				return err
			}
		}
		return tx.each(words+query, args, func(rows *sql.Rows) error {
			names, err := rows.Columns()
			if err != nil {
				return err
			}
			cells := make([]any, len(names))
			for i := range cells {
				cells[i] = new(string)
			}
			if err := rows.Scan(cells...); err != nil {
				return err
			}
			line, ok := cells[column].(*string)
			if !ok {
				return fmt.Errorf("a plan of %T", cells[column])
			}
			plan += *line + "\n"
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return plan
}
