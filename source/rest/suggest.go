package rest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"weir"
)

// Suggestion is a guess at how a source is to be read, for the author of a spec: members of sourceSpec.attributes and the
// reason.
type Suggestion struct {
	Attributes json.RawMessage `json:"attributes"`
	Why        string          `json:"why"`
}

// Suggest makes the first request of an explore and guesses from the answer where the records are and how the pages are
// turned, the surest guess first. It reads the definition of the binding as it is; paging may be missing in it.
func (s *Source) Suggest(ctx context.Context, q weir.ExploreQuery) ([]Suggestion, error) {
	p, err := s.spec.layers(&s.b, q.Params)
	if err != nil {
		return nil, err
	}
	pl, _, err := s.first(ctx, p, q)
	if err != nil {
		return nil, err
	}
	var raw []byte
	var at *url.URL
	var header http.Header
	quick := *s
	quick.limits.Attempts = min(quick.limits.Attempts, 3)
	quick.limits.Wait = min(quick.limits.Wait, wait5)
	err = quick.fetch(ctx, pl.req, func(resp *response) (err error) {
		at, header = resp.Request.URL, resp.Header
		if raw, err = whole(resp.body, previewBytes); err == nil {
			err = checkJSON(raw)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return suggest(raw, header, at), nil
}

// found is a value of an answer and where it is.
type found struct {
	at    path
	value []byte
}

// outline lists the values of an answer outside arrays, and its arrays, down to four levels.
func outline(raw []byte, at path, out *[]found) {
	*out = append(*out, found{at, raw})
	if len(at) >= 4 || len(raw) == 0 || raw[0] != '{' {
		return
	}
	members(raw, func(name, value []byte) bool {
		outline(value, append(slices.Clip(at), step{name: unquote(name)}), out)
		return true
	})
}

// The names that sources use, by what they mean.
var (
	linkNames   = regexp.MustCompile(`(?i)^(next|next_?(page)?_?(url|uri|link|href|records_?url)|@odata\.nextlink)$`)
	cursorNames = regexp.MustCompile(`(?i)^(next_?)?(cursor|page_?token|token|after|starting_after|offset|marker)$|^(end|after)_?cursor$|^continuation_?token$|^bookmark$`)
	moreNames   = regexp.MustCompile(`(?i)^(has_?(more|next)(_?page)?|more|more_items_in_collection|incomplete)$`)
	totalNames  = regexp.MustCompile(`(?i)^(total|total_?(count|items|results|records|size|elements)|count|hits|row_?count)$`)
	pagesNames  = regexp.MustCompile(`(?i)^(total_?pages|pages|page_?count|last_?page)$`)
	pageNames   = regexp.MustCompile(`(?i)^(page|current_?page|page_?(number|index))$`)
)

func suggest(raw []byte, header http.Header, at *url.URL) []Suggestion {
	var all []found
	s := scanner{buf: raw, final: true}
	outline(raw[s.space(0):], nil, &all)
	var out []Suggestion
	add := func(why string, attributes string, args ...any) {
		out = append(out, Suggestion{json.RawMessage(fmt.Sprintf(attributes, args...)), why})
	}
	records := mostRecords(all)
	if records != nil {
		add(fmt.Sprintf("the longest array of the answer is at %s", records.at), `{"contentPath":{"path":%s}}`, quote(records.at.String()))
	}
	if linkTo(header.Values("Link"), "next") != "" {
		add("the answer has a Link header with rel=next", `{"weir":{"paging":{"type":"LINK"}}}`)
	}
	for _, f := range all {
		name, text := f.at.last(), ""
		if t, ok := scalarText(f.value); ok {
			text = t
		}
		if text == "" {
			continue
		}
		where := quote(f.at.String())
		_, isLink := resolve(at, text)
		switch {
		case isLink && linkNames.MatchString(name):
			add(fmt.Sprintf("%s is the address of a next page", f.at), `{"paginationParams":{"type":"POINTER","pointerPath":%s}}`, where)
		case cursorNames.MatchString(name) && !isLink:
			add(fmt.Sprintf("%s looks like a token for the next page; check the name of its parameter", f.at),
				`{"paginationParams":{"type":"CONTINUATION_TOKEN","continuationTokenPath":%s,"parameterType":"QUERYPARAM","parameterName":%s}}`, where, quote(strings.TrimPrefix(name, "next_")))
		}
	}
	suggestCounts(all, add)
	return out
}

// mostRecords is the array with the most elements that are objects, else the longest one.
func mostRecords(all []found) *found {
	var best *found
	most := -1
	for i := range all {
		if len(all[i].value) == 0 || all[i].value[0] != '[' {
			continue
		}
		n := 0
		s := scanner{buf: all[i].value, final: true}
		s.each(0, func(el []byte) bool {
			if n++; el[0] == '{' {
				n += 1000
			}
			return true
		})
		if n > most {
			best, most = &all[i], n
		}
	}
	return best
}

// suggestCounts guesses from totals and flags, where pages are counted.
func suggestCounts(all []found, add func(why, attributes string, args ...any)) {
	first := func(names *regexp.Regexp, digits bool) *found {
		for i := range all {
			text, ok := scalarText(all[i].value)
			number := ok && text != "" && all[i].value[0] != '"' && all[i].value[0] <= '9'
			if names.MatchString(all[i].at.last()) && ok && (number || !digits) {
				return &all[i]
			}
		}
		return nil
	}
	more, total, pages, page := first(moreNames, false), first(totalNames, true), first(pagesNames, true), first(pageNames, true)
	switch {
	case pages != nil:
		add(fmt.Sprintf("%s counts pages; check the name of the page parameter", pages.at), `{"paginationParams":{"type":"PAGE","pageParamName":"page","initialPageIndex":1},"weir":{"paging":{"total":%s,"counts":"pages"}}}`, quote(pages.at.String()))
	case page != nil:
		add(fmt.Sprintf("%s numbers the pages; check the name of the page parameter", page.at), `{"paginationParams":{"type":"PAGE","pageParamName":%s,"initialPageIndex":1}}`, quote(page.at.last()))
	}
	if total != nil {
		add(fmt.Sprintf("%s counts records; check the names of the offset and limit parameters", total.at), `{"paginationParams":{"type":"OFFSET","offSetName":"offset","limitName":"limit","limitValue":100},"weir":{"paging":{"total":%s}}}`, quote(total.at.String()))
	}
	if more != nil {
		add(fmt.Sprintf("%s says whether there is more", more.at), `{"weir":{"paging":{"hasMore":%s}}}`, quote(more.at.String()))
	}
}
