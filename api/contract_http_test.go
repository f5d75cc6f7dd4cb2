package api_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// answer is what a request got.
type answer struct {
	status int
	header http.Header
	body   []byte
}

var headerLine = regexp.MustCompile(`^(-?)([A-Za-z][A-Za-z0-9-]*):? ?(.*)$`)

// request sends a block's request and keeps the answer.
func (s *script) request(b block) {
	s.t.Helper()
	req := s.build(b)
	a, err := s.send(req)
	if err != nil {
		s.fatal("%s: %v", b.head, err)
	}
	s.answer = a
}

// build makes the request of a block.
func (s *script) build(b block) *http.Request {
	s.t.Helper()
	method, target, _ := strings.Cut(s.expand(b.head), " ")
	target = strings.TrimPrefix(target, s.p.url("")) // links in answers are absolute
	if !regexp.MustCompile(`^/(data|ims|openapi|healthz|metrics)(/|$)`).MatchString(target) && !strings.HasPrefix(target, "//data") {
		target = "/data/foundation/flowservice" + target
	}
	h := http.Header{}
	h.Set("Authorization", "Bearer "+s.text("token"))
	h.Set("x-api-key", s.text("key"))
	h.Set("x-gw-ims-org-id", s.text("org"))
	h.Set("x-sandbox-name", "prod")
	lines := b.tail
	for len(lines) > 0 {
		m := headerLine.FindStringSubmatch(lines[0])
		if m == nil || m[1] == "" && !strings.Contains(lines[0], ":") {
			break
		}
		h.Del(m[2])
		if m[1] == "" {
			h.Set(m[2], s.expand(m[3]))
		}
		lines = lines[1:]
	}
	var body []string
	for len(lines) > 0 && !strings.HasPrefix(lines[0], "=> ") {
		body = append(body, s.expand(lines[0]))
		lines = lines[1:]
	}
	text := strings.TrimSpace(strings.Join(body, "\n"))
	if text != "" && h.Get("Content-Type") == "" {
		h.Set("Content-Type", "application/json")
	}
	var r io.Reader
	if text != "" {
		r = strings.NewReader(text)
	}
	req, err := http.NewRequestWithContext(s.t.Context(), method, "http://weir.test/", r)
	if err != nil {
		s.fatal("%v", err)
	}
	base := s.p.url(s.mode)
	req.URL.Host, req.Host = strings.TrimPrefix(base, "http://"), strings.TrimPrefix(base, "http://")
	path, query, _ := strings.Cut(target, "?")
	req.URL.Opaque = "//" + req.URL.Host + strings.ReplaceAll(path, " ", "%20") // as written, slashes and escapes included
	req.URL.RawQuery = strings.ReplaceAll(query, " ", "%20")
	req.Header = h
	return req
}

// send sends a request and checks what holds for every answer: no redirect, no 409, 422 or 428, JSON in every failure, and the OpenAPI
// document.
func (s *script) send(req *http.Request) (*answer, error) {
	var sent []byte
	if req.Body != nil {
		sent, _ = io.ReadAll(req.Body)
		req.Body = io.NopCloser(bytes.NewReader(sent))
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	a := &answer{status: res.StatusCode, header: res.Header, body: body}
	flowService := strings.Contains(req.URL.Opaque, "/flowservice")
	switch {
	case a.status >= 300 && a.status < 400:
		return nil, fmt.Errorf("redirect %d to %s", a.status, a.header.Get("Location"))
	case flowService && (a.status == 409 || a.status == 422 || a.status == 428):
		return nil, fmt.Errorf("status %d, which the flow service never uses", a.status)
	case a.status >= 400 && req.Method != http.MethodHead && !json.Valid(body):
		return nil, fmt.Errorf("status %d with a body that is not JSON: %s", a.status, body)
	case a.header.Get("X-Request-Id") == "":
		return nil, errors.New("no x-request-id in the answer")
	}
	return a, s.h.documents.check(req, sent, a)
}

var client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// patience bounds every wait of a script.
const patience = 60 * time.Second

// until repeats a request until its assertions hold.
func (s *script) until(b block) {
	s.t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(40 * time.Millisecond)
	defer tick.Stop()
	for {
		s.request(b)
		err := s.assertions(b)
		if err == nil {
			return
		}
		select {
		case <-deadline.C:
			s.fatal("%s: gave up waiting: %v\n%s", b.head, err, s.answer.show())
		case <-s.t.Context().Done():
			s.fatal("%s: %v", b.head, err)
		case <-tick.C:
		}
	}
}

func (s *script) assertAll(b block) {
	s.t.Helper()
	if err := s.assertions(b); err != nil {
		s.fatal("%s: %v\n%s", b.head, err, s.answer.show())
	}
}

func (a *answer) show() string {
	text := string(a.body)
	if len(text) > 3000 {
		text = text[:3000] + "…"
	}
	return fmt.Sprintf("status %d %v\n%s", a.status, a.header, text)
}

// assertions checks the lines from => on; for a seen block, all lines.
func (s *script) assertions(b block) error {
	lines := b.tail
	if s.answer.status != 0 {
		for len(lines) > 0 && !strings.HasPrefix(lines[0], "=> ") {
			lines = lines[1:]
		}
		if len(lines) == 0 {
			return errors.New("no => line")
		}
		if err := s.checkStatus(strings.Fields(lines[0])[1:]); err != nil {
			return err
		}
		lines = lines[1:]
	}
	for i, line := range lines {
		if strings.TrimSpace(line) == "" {
			continue
		}
		if err := s.assertLine(s.expandRight(line)); err != nil {
			return fmt.Errorf("%s (assertion %d): %w", line, i+1, err)
		}
	}
	return nil
}

// expandRight expands variables, but not the one a capture line names.
func (s *script) expandRight(line string) string {
	if strings.HasPrefix(line, "@") {
		name, rest, ok := strings.Cut(line, " = ")
		if ok && !strings.HasSuffix(name, "@") {
			return name + " = " + s.expand(rest)
		}
	}
	if i := strings.LastIndex(line, " "); i > 0 && wholeVariable.MatchString(line[i+1:]) && strings.HasSuffix(line[:i], "=") {
		return s.expand(line[:i]) + line[i:] // compared as it is, see operand
	}
	return s.expand(line)
}

func (s *script) checkStatus(want []string) error {
	if strconv.Itoa(s.answer.status) != want[0] {
		return fmt.Errorf("status %d, want %s", s.answer.status, want[0])
	}
	if len(want) < 2 {
		return nil
	}
	var body struct {
		Type      string `json:"type"`
		ErrorCode string `json:"error_code"`
		Error     string `json:"error"`
	}
	if err := json.Unmarshal(s.answer.body, &body); err != nil {
		return err
	}
	if body.ErrorCode == want[1] || body.Error == want[1] || strings.HasSuffix(body.Type, "/"+want[1]+"-"+want[0]) {
		return nil
	}
	return fmt.Errorf("code %s%s%s, want %s", body.Type, body.ErrorCode, body.Error, want[1])
}

var assertion = regexp.MustCompile(`^(header \S+|-|[.\[]\S*|"[^"]*")\s+(==|!=|>=|<=|>|<|~|!~|has|keys|exists|absent)(?:\s+(.*))?$`)

func (s *script) assertLine(line string) error {
	if name, path, ok := strings.Cut(line, " = "); ok && strings.HasPrefix(name, "@") {
		path, pattern, part := strings.Cut(path, " ~ ")
		v, there, err := s.value(path)
		if err != nil || !there {
			return fmt.Errorf("nothing to take: %w", errors.Join(err, errors.New("no such member")))
		}
		if part {
			m := regexp.MustCompile(pattern).FindStringSubmatch(textOf(v))
			if len(m) < 2 {
				return fmt.Errorf("%s is not in %s", pattern, textOf(v))
			}
			v = m[1]
		}
		s.vars[strings.TrimPrefix(name, "@")] = v
		return nil
	}
	m := assertion.FindStringSubmatch(line)
	if m == nil {
		return errors.New("not an assertion")
	}
	got, there, err := s.value(m[1])
	if err != nil {
		return err
	}
	switch m[2] {
	case "exists":
		return verdict(there, got, "to be there")
	case "absent":
		return verdict(!there, got, "nothing there")
	case "~", "!~":
		re, err := regexp.Compile(m[3])
		if err != nil {
			return err
		}
		return verdict(re.MatchString(textOf(got)) == (m[2] == "~"), got, m[3])
	}
	want, err := s.operand(m[3])
	if err != nil {
		return err
	}
	return verdict(compare(got, m[2], want), got, m[2]+" "+textOf(want))
}

func verdict(ok bool, got any, want string) error {
	if ok {
		return nil
	}
	return fmt.Errorf("got %s, want %s", textOf(got), want)
}

var wholeVariable = regexp.MustCompile(`^@[A-Za-z][A-Za-z0-9_.]*@$`)

// operand is the right side of an assertion: a variable, a path, a header, or JSON.
func (s *script) operand(text string) (any, error) {
	if v, there := s.vars[strings.Trim(text, "@")]; there && wholeVariable.MatchString(text) {
		return v, nil
	}
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "header ") {
		v, _, err := s.value(text)
		return v, err
	}
	var v any
	if err := decode([]byte(text), &v); err != nil {
		return nil, fmt.Errorf("%q is not JSON", text)
	}
	return v, nil
}

// value reads a left side: a header, the whole body as text, a literal, or a path into the body.
func (s *script) value(path string) (any, bool, error) {
	if name, is := strings.CutPrefix(path, "header "); is {
		v, there := s.answer.header[http.CanonicalHeaderKey(name)]
		return strings.Join(v, ", "), there, nil
	}
	if path == "-" {
		return string(s.answer.body), true, nil
	}
	if strings.HasPrefix(path, `"`) {
		return strings.Trim(path, `"`), true, nil
	}
	if list, counted := strings.CutSuffix(path, "##"); counted {
		v, _, err := s.value(list)
		n, _ := v.([]any)
		return json.Number(strconv.Itoa(len(n))), err == nil, err
	}
	var body any
	if err := decode(s.answer.body, &body); err != nil {
		return nil, false, fmt.Errorf("the body is not JSON: %w", err)
	}
	v, there := lookup(body, path)
	return v, there, nil
}

func decode(b []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	if err := dec.Decode(v); err != nil {
		return err
	}
	if dec.More() {
		return errors.New("text after the value")
	}
	return nil
}

var pathStep = regexp.MustCompile(`^(?:\.?\["([^"]*)"\]|\.?\[(-?\d*)\]|\.([A-Za-z0-9_@$:-]+)|(\.?#)|(\.))`)

// lookup follows a path. [] collects over an array; # is a length.
func lookup(v any, path string) (any, bool) {
	for path != "" {
		m := pathStep.FindStringSubmatch(path)
		if m == nil {
			return nil, false
		}
		rest := path[len(m[0]):]
		name := m[1] + m[3]
		switch {
		case name != "":
			o, _ := v.(map[string]any)
			next, there := o[name]
			if !there {
				return nil, false
			}
			v = next
		case m[4] != "":
			switch x := v.(type) {
			case []any:
				v = json.Number(strconv.Itoa(len(x)))
			case map[string]any:
				v = json.Number(strconv.Itoa(len(x)))
			case string:
				v = json.Number(strconv.Itoa(len(x)))
			default:
				return nil, false
			}
		case m[5] != "":
		case m[2] == "":
			list, ok := v.([]any)
			if !ok {
				return nil, false
			}
			out := []any{}
			for _, e := range list {
				if x, there := lookup(e, rest); there {
					out = append(out, x)
				}
			}
			return out, true
		default:
			list, _ := v.([]any)
			i, _ := strconv.Atoi(m[2])
			if i < 0 {
				i += len(list)
			}
			if i < 0 || i >= len(list) {
				return nil, false
			}
			v = list[i]
		}
		path = rest
	}
	return v, true
}

func compare(got any, op string, want any) bool {
	switch op {
	case "==":
		return equal(got, want)
	case "!=":
		return !equal(got, want)
	case "has":
		return has(got, want)
	case "keys":
		o, _ := got.(map[string]any)
		list, _ := want.([]any)
		if len(o) != len(list) {
			return false
		}
		for _, k := range list {
			if _, there := o[fmt.Sprint(k)]; !there {
				return false
			}
		}
		return true
	}
	a, errA := strconv.ParseFloat(textOf(got), 64)
	b, errB := strconv.ParseFloat(textOf(want), 64)
	if errA != nil || errB != nil {
		return false
	}
	switch op {
	case ">":
		return a > b
	case ">=":
		return a >= b
	case "<":
		return a < b
	default:
		return a <= b
	}
}

// has: an array with the element, an object with at least the members, or a text with the part.
func has(got, want any) bool {
	switch g := got.(type) {
	case []any:
		for _, e := range g {
			if equal(e, want) {
				return true
			}
			if _, object := want.(map[string]any); object && has(e, want) {
				return true
			}
		}
	case map[string]any:
		w, ok := want.(map[string]any)
		for k, v := range w {
			if !equal(g[k], v) {
				return false
			}
		}
		return ok
	case string:
		w, ok := want.(string)
		return ok && strings.Contains(g, w)
	}
	return false
}

// equal compares JSON values; numbers numerically.
func equal(a, b any) bool {
	an, aNum := a.(json.Number)
	bn, bNum := b.(json.Number)
	if aNum && bNum {
		x, _ := an.Float64()
		y, _ := bn.Float64()
		return x == y
	}
	al, aList := a.([]any)
	bl, bList := b.([]any)
	if aList && bList && len(al) == len(bl) {
		for i := range al {
			if !equal(al[i], bl[i]) {
				return false
			}
		}
		return true
	}
	ao, aObj := a.(map[string]any)
	bo, bObj := b.(map[string]any)
	if aObj && bObj && len(ao) == len(bo) {
		for k, v := range ao {
			if w, there := bo[k]; !there || !equal(v, w) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(a, b)
}

func textOf(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case nil:
		return "null"
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}
