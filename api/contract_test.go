package api_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"weir"
)

// checklistLines is how many lines each contract's checklist has, by folder of testdata/contract.
var checklistLines = map[string]int{"flow": 155, "schema-catalog-data": 149, "data-prep": 28}

// TestContract runs the scripts of testdata/contract (see README.md there). It prints which lines of each checklist pass.
func TestContract(t *testing.T) {
	h := newHarness(t)
	for folder, total := range checklistLines {
		var mu sync.Mutex
		passed := map[string]bool{}
		t.Run(folder, func(t *testing.T) {
			files, err := filepath.Glob(filepath.Join("testdata", "contract", folder, "[0-9]*.txt"))
			if err != nil {
				t.Fatal(err)
			}
			for _, file := range files {
				name := strings.TrimSuffix(filepath.Base(file), ".txt")
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					defer func() { // also when the script gives up
						mu.Lock()
						defer mu.Unlock()
						number, _, _ := strings.Cut(name, "-")
						ok, before := passed[number]
						passed[number] = !t.Failed() && (ok || !before)
					}()
					runScript(t, h, file)
				})
			}
		})
		var red []string
		green := 0
		for n := 1; n <= total; n++ {
			number := fmt.Sprintf("%03d", n)
			if passed[number] {
				green++
			} else {
				red = append(red, number)
			}
		}
		fmt.Printf("contract %s: %d of %d lines pass\n", folder, green, total)
		if len(red) > 0 {
			fmt.Printf("contract %s: not passing or not run: %s\n", folder, strings.Join(red, " "))
		}
	}
}

// TestExtensionFlows runs the scripts for what connection specs can say beyond the contract (docs/rest-extension.md): x-*.txt.
func TestExtensionFlows(t *testing.T) {
	h := newHarness(t)
	files, err := filepath.Glob(filepath.Join("testdata", "contract", "flow", "x-*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			runScript(t, h, file)
		})
	}
}

// script is one running file.
type script struct {
	t       *testing.T
	h       *harness
	p       *running // the program in use
	mode    string
	vars    map[string]any
	file    string
	line    int
	answer  *answer
	sources *upstream
}

func runScript(t *testing.T, h *harness, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := &script{t: t, h: h, vars: map[string]any{}, sources: h.upstream}
	if regexp.MustCompile(`(?m)^(own|clock .*|restart)$`).Match(text) {
		s.p = h.start(t)
	} else {
		s.p = h.shared
	}
	s.newOrg("")
	uniq := "s" + strings.ToLower(strings.ReplaceAll(s.text("org"), "@AdobeOrg", ""))[:12]
	s.vars["uniq"] = uniq
	s.vars["hex24"], s.vars["hex32"], s.vars["more32"] = weir.NewHex(12), weir.NewHex(16), weir.NewHex(16)
	s.vars["upstream"] = h.upstream.url + "/" + uniq
	s.vars["elsewhere"] = strings.Replace(s.text("upstream"), "127.0.0.1", "localhost", 1) // another host to a client
	s.include(file, string(text))
}

// fatal stops the script at its current line.
func (s *script) fatal(format string, args ...any) {
	s.t.Helper()
	s.t.Fatalf("%s:%d: %s", filepath.Base(s.file), s.line, fmt.Sprintf(format, args...))
}

// text is a variable as text.
func (s *script) text(name string) string {
	switch v := s.vars[name].(type) {
	case string:
		return v
	case nil:
		return ""
	default:
		b, _ := json.Marshal(v)
		return string(b)
	}
}

var variable = regexp.MustCompile(`@([A-Za-z][A-Za-z0-9_.]*)@`)

// expand puts the variables into a text.
func (s *script) expand(text string) string {
	return variable.ReplaceAllStringFunc(text, func(m string) string {
		name := strings.Trim(m, "@")
		if name == "now" {
			return fmt.Sprint(s.p.now().Unix())
		}
		if _, ok := s.vars[name]; !ok {
			return m
		}
		return s.text(name)
	})
}

// block is a directive or request with the lines that belong to it.
type block struct {
	line int
	head string
	tail []string
}

// directive matches lines that begin a block.
var directive = regexp.MustCompile(`^(include|append|strip|sum|rows|org|sandbox|own|mode|clock|restart|doc|seen|upstream|until|GET|POST|PUT|PATCH|DELETE|HEAD)( |$)|^@[A-Za-z]\w* = `)

// blocks cuts a script. Blank lines and comments end nothing inside a body, so a block ends where the next begins.
func blocks(text string) []block {
	var out []block
	answered := true // past the => line, where @name = .path belongs to the block
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimRight(line, " \t\r")
		capture := regexp.MustCompile(`^@\w+ = (\.|header |-$)`).MatchString(line)
		if directive.MatchString(line) && !capture {
			out = append(out, block{line: i + 1, head: line})
			answered = false
			continue
		}
		if len(out) == 0 || line == "" && answered || strings.HasPrefix(line, "#") {
			continue
		}
		if strings.HasPrefix(line, "=> ") {
			answered = true
		}
		last := &out[len(out)-1]
		last.tail = append(last.tail, line)
	}
	return out
}

// include runs a text.
func (s *script) include(file, text string) {
	s.t.Helper()
	outer, line := s.file, s.line
	s.file = file
	for _, b := range blocks(text) {
		s.line = b.line
		s.run(b)
	}
	s.file, s.line = outer, line
}

func (s *script) run(b block) {
	s.t.Helper()
	word, rest, _ := strings.Cut(b.head, " ")
	switch {
	case strings.HasPrefix(word, "@"):
		s.assign(strings.TrimPrefix(word, "@"), strings.TrimPrefix(rest, "= "))
	case word == "include":
		file := filepath.Join(filepath.Dir(s.file), "_"+rest+".txt")
		text, err := os.ReadFile(file)
		if err != nil {
			s.fatal("%v", err)
		}
		s.include(file, string(text))
	case word == "append":
		s.appendTo(rest)
	case word == "strip": // strip NAME FROM: the text without its quotes
		name, from, _ := strings.Cut(rest, " ")
		s.vars[name] = strings.Trim(s.text(from), `"`)
	case word == "sum": // sum NAME FROM N: a number plus another
		s.sum(strings.Fields(rest))
	case word == "rows":
		s.answer = &answer{body: s.rows(s.expand(rest))}
		s.assertAll(b)
	case word == "org":
		s.newOrg(rest + ".")
	case word == "sandbox":
		s.newSandbox(rest)
	case word == "own":
	case word == "mode":
		s.mode = rest
	case word == "clock":
		s.p.advance(s.t, rest)
	case word == "restart":
		s.p.restart(s.t)
	case word == "doc":
		s.putDoc(s.expand(rest + strings.Join(b.tail, "\n")))
	case word == "upstream":
		s.script(rest, b.tail)
	case word == "seen":
		s.answer = &answer{body: s.sources.seen(s.path(s.expand(rest)))}
		s.assertAll(b)
	case word == "until":
		s.until(block{line: b.line, head: rest, tail: b.tail})
	default:
		s.request(b)
		s.assertAll(b)
	}
}

func (s *script) assign(name, value string) {
	value = s.expand(value)
	var v any
	if decode([]byte(value), &v) != nil {
		v = value
	}
	s.vars[name] = v
}

// appendTo appends to a list in a variable: append NAME PATH JSON.
func (s *script) appendTo(text string) {
	s.t.Helper()
	name, rest, _ := strings.Cut(text, " ")
	path, value, _ := strings.Cut(s.expand(rest), " ")
	o, _ := s.vars[name].(map[string]any)
	list, ok := o[strings.TrimPrefix(path, ".")].([]any)
	var v any
	if !ok || decode([]byte(value), &v) != nil {
		s.fatal("there is no list at %s of @%s@", path, name)
	}
	o[strings.TrimPrefix(path, ".")] = append(slices.Clone(list), v)
}

func (s *script) sum(words []string) {
	s.t.Helper()
	if len(words) != 3 {
		s.fatal("sum NAME FROM N")
	}
	a, errA := strconv.ParseInt(s.text(words[1]), 10, 64)
	b, errB := strconv.ParseInt(words[2], 10, 64)
	if errA != nil || errB != nil {
		s.fatal("%s + %s is no sum", s.text(words[1]), words[2])
	}
	s.vars[words[0]] = json.Number(strconv.FormatInt(a+b, 10))
}

// newOrg makes an organisation with a client and puts its credentials into variables.
func (s *script) newOrg(prefix string) {
	s.t.Helper()
	cred, token := s.p.newOrg(s.t)
	for name, v := range map[string]string{"org": cred.OrgID, "key": cred.ClientID, "secret": cred.ClientSecret, "token": token} {
		s.vars[prefix+name] = v
	}
}

// path is where the source serves a path of a script: below its own prefix, except for the built-in spec's.
func (s *script) path(p string) string {
	if strings.HasPrefix(p, "/3.0/") {
		return p
	}
	return "/" + s.text("uniq") + p
}

// script adds an upstream block: what the source answers.
func (s *script) script(head string, tail []string) {
	s.t.Helper()
	method, target, _ := strings.Cut(s.expand(head), " ")
	for i, line := range tail {
		if status, is := strings.CutPrefix(line, "=> "); is {
			if err := s.sources.add(method, s.path(target), status, mapped(tail[i+1:], s.expand)); err != nil {
				s.fatal("%v", err)
			}
			return
		}
	}
	s.fatal("upstream without =>")
}

func mapped(lines []string, f func(string) string) []string {
	out := slices.Clone(lines)
	for i := range out {
		out[i] = f(out[i])
	}
	return out
}
