package mapping

import (
	"encoding/json"
	"math"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"weir/record"
)

// Suggestion proposes a target for a source attribute (data-prep §11).
type Suggestion struct {
	Source, Destination string // Destination is "" for an attribute without a fitting target
	Score               float64
	// Candidates are further targets, best first.
	Candidates []Candidate
}

// Candidate is a possible target.
type Candidate struct {
	Destination string  `json:"destination"`
	Score       float64 `json:"matchScore"`
}

// SuggestInput is what suggestions are made from: sample records, or a JSON Schema of the source if there are none.
type SuggestInput struct {
	Records []record.Value
	Schema  json.RawMessage
	Target  *record.Schema
	// History maps sources that were mapped before to their destinations.
	History map[string]string
}

const (
	minScore      = 0.45
	maxCandidates = 4
	maxSources    = 2000
)

// Suggest proposes at most one target for each source attribute, and each target at most once. The result is in source order and holds every attribute.
func Suggest(in SuggestInput) []Suggestion {
	leaves := leavesOf(in.Records)
	if len(in.Records) == 0 && in.Schema != nil {
		if schema, err := record.Parse(in.Schema); err == nil {
			schemaLeaves(schema, sourceLeaf{}, 0, func(l sourceLeaf) { leaves = append(leaves, l) })
		}
	}
	leaves = leaves[:min(len(leaves), maxSources)]
	var targets []targetLeaf
	targetLeaves(in.Target.Fields, targetLeaf{}, &targets)
	type pair struct {
		source, target int
		score          float64
	}
	var pairs []pair
	for i := range leaves {
		words := wordsOf(leaves[i].names)
		for j := range targets {
			if s := score(&leaves[i], words, &targets[j], in.History); s >= minScore {
				pairs = append(pairs, pair{i, j, s})
			}
		}
	}
	slices.SortStableFunc(pairs, func(a, b pair) int {
		switch {
		case a.score > b.score:
			return -1
		case a.score < b.score:
			return 1
		}
		return len(targets[a.target].path) - len(targets[b.target].path)
	})
	out := make([]Suggestion, len(leaves))
	for i := range leaves {
		out[i].Source = leaves[i].path
	}
	taken := make([]bool, len(targets))
	for _, p := range pairs {
		s := &out[p.source]
		switch {
		case s.Destination == "" && !taken[p.target]:
			s.Destination, s.Score = targets[p.target].path, p.score
			taken[p.target] = true
		case len(s.Candidates) < maxCandidates:
			s.Candidates = append(s.Candidates, Candidate{targets[p.target].path, p.score})
		}
	}
	return out
}

// targetLeaf is a leaf of the target schema.
type targetLeaf struct {
	path     string
	names    []string
	wild     int
	field    *record.Field
	required bool
	words    []string
	title    []string
}

func targetLeaves(fields []record.Field, at targetLeaf, out *[]targetLeaf) {
	for i := range fields {
		f := &fields[i]
		t := at
		if t.path != "" {
			t.path += "."
		}
		t.path += string(record.AppendName(nil, f.Name))
		t.names = append(slices.Clip(at.names), f.Name)
		t.required = at.required || f.Required
		leaf := f
		for leaf.Type == record.List && leaf.Elem != nil && !isScalarField(leaf.Elem) {
			t.path += "[*]"
			t.wild++
			leaf = leaf.Elem
		}
		switch leaf.Type {
		case record.Struct:
			targetLeaves(leaf.Fields, t, out)
		case record.Map:
		default:
			t.field = leaf
			t.words = wordsOf(t.names)
			t.title = wordsOf([]string{f.Title})
			*out = append(*out, t)
		}
	}
}

// score says how well a source fits a target, 0 for not at all.
func score(l *sourceLeaf, words []string, t *targetLeaf, history map[string]string) float64 {
	if l.wild != t.wild || !suits(l, t.field) {
		return 0
	}
	if history[l.path] == t.path {
		return 0.98
	}
	last, targetLast := wordsOf(l.names[len(l.names)-1:]), wordsOf(t.names[len(t.names)-1:])
	name := max(similar(last, targetLast), 0.95*similar(words, t.words), 0.9*similar(last, t.title))
	s := 0.75*name + 0.2*overlap(words, t.words)
	if slices.Equal(words, t.words) || slices.Equal(last, targetLast) && len(t.names) == 1 {
		s = 0.95
	}
	if w := targetLast[max(len(targetLast)-1, 0):]; len(w) > 0 && slices.Contains(attributesOfOthers, w[0]) && !slices.Contains(words, w[0]) {
		s -= 0.12
	}
	s += patternBonus(l.texts, t)
	if t.required {
		s += 0.03
	}
	return math.Round(min(s, 1)*100) / 100
}

// attributesOfOthers are last words of targets that describe a neighbour rather than hold the value a name asks for.
var attributesOfOthers = []string{"type", "label", "status", "reason", "note", "primary", "source", "method"}

// suits reports whether the kinds of a source can become the target's type.
func suits(l *sourceLeaf, f *record.Field) bool {
	k := l.kinds &^ kNull
	if k == 0 {
		return true
	}
	if f.Type == record.Boolean && k == kText {
		return len(l.texts) > 0 && allTexts(l.texts, func(s string) bool { _, ok := booleanWords[strings.ToLower(s)]; return ok })
	}
	if k == kText && len(l.texts) > 0 {
		switch {
		case f.Type.Integer() || f.Type == record.Number:
			return allTexts(l.texts, func(s string) bool { _, ok := record.ParseNumber(strings.TrimSpace(s)); return ok })
		case f.Type == record.Date || f.Type == record.Timestamp:
			return allTexts(l.texts, func(s string) bool { _, ok := parseDate(s); return ok })
		}
	}
	return canConvert(k, nil, f)
}

func allTexts(texts []string, is func(string) bool) bool {
	for _, s := range texts {
		if s != "" && !is(s) {
			return false
		}
	}
	return true
}

// patterns recognise values whose targets have telling names.
var patterns = []struct {
	re    *regexp.Regexp
	words []string
}{
	{regexp.MustCompile(`^[^@\s]+@[^@\s]+\.[^@\s]+$`), []string{"email"}},
	{regexp.MustCompile(`^https?://`), []string{"url", "uri"}},
	{regexp.MustCompile(`^[A-Z]{2}$`), []string{"country", "state"}},
	{regexp.MustCompile(`^\+?[0-9][0-9 ()-]{6,}$`), []string{"phone"}},
	{regexp.MustCompile(`^\d{4}-\d\d-\d\d`), []string{"date", "timestamp", "time"}},
}

func patternBonus(texts []string, t *targetLeaf) float64 {
	if len(texts) == 0 {
		return 0
	}
	for _, p := range patterns {
		if !allTexts(texts, p.re.MatchString) {
			continue
		}
		for _, w := range p.words {
			if slices.Contains(t.words, w) {
				return 0.2
			}
		}
	}
	return 0
}

// abbreviations are words as the standard components spell them.
var abbreviations = map[string][]string{
	"fname": {"first", "name"}, "firstname": {"first", "name"}, "lname": {"last", "name"}, "lastname": {"last", "name"}, "surname": {"last", "name"}, "given": {"first"},
	"family": {"last"}, "dob": {"birth", "date"}, "birthday": {"birth", "date"}, "birthdate": {"birth", "date"}, "bday": {"birth", "date"}, "zip": {"postal", "code"}, "zipcode": {"postal", "code"},
	"postcode": {"postal", "code"}, "tel": {"phone"}, "telephone": {"phone"}, "mobile": {"mobile", "phone"}, "mail": {"email"}, "emailaddress": {"email", "address"}, "addr": {"address"}, "qty": {"quantity"},
	"amt": {"amount"}, "num": {"number"}, "no": {"number"}, "nr": {"number"}, "msg": {"message"}, "ts": {"timestamp"}, "org": {"organization"}, "desc": {"description"}, "lang": {"language"},
	"lat": {"latitude"}, "lng": {"longitude"}, "lon": {"longitude"}, "yr": {"year"}, "ccy": {"currency"}, "curr": {"currency"}, "prod": {"product"}, "cat": {"category"}, "sex": {"gender"},
	"uid": {"id"}, "identifier": {"id"}, "key": {"id"}, "street1": {"street"}, "town": {"city"}, "province": {"state"}, "e": {},
}

// wordsOf cuts names at signs and camel humps into lower-case words, with abbreviations written out.
func wordsOf(names []string) []string {
	var out []string
	add := func(w string) {
		w = strings.ToLower(w)
		if long, ok := abbreviations[w]; ok {
			out = append(out, long...)
		} else if w != "" {
			out = append(out, w)
		}
	}
	for _, name := range names {
		var word []rune
		runes := []rune(strings.ReplaceAll(name, "e-mail", "email"))
		for i, r := range runes {
			hump := i > 0 && unicode.IsUpper(r) && (unicode.IsLower(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1]))
			if hump || !unicode.IsLetter(r) && !unicode.IsDigit(r) {
				add(string(word))
				word = nil
			}
			if unicode.IsLetter(r) || unicode.IsDigit(r) {
				word = append(word, r)
			}
		}
		add(string(word))
	}
	return out
}

// overlap is how much of two lists of words is common, 0 to 1.
func overlap(a, b []string) float64 {
	if len(a) == 0 || len(b) == 0 {
		return 0
	}
	common := 0
	for _, w := range a {
		if slices.Contains(b, w) {
			common++
		}
	}
	return 2 * float64(min(common, len(b))) / float64(len(a)+len(b))
}

// similar is the likeness of two names: by common words, or by letters for typing variants.
func similar(a, b []string) float64 {
	s := overlap(a, b)
	x, y := strings.Join(a, ""), strings.Join(b, "")
	if n := max(len(x), len(y)); n > 3 && n <= 64 {
		if letters := 1 - float64(distance(x, y))/float64(n); letters > 0.75 {
			s = max(s, letters)
		}
	}
	return s
}
