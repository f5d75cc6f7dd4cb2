package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// mapResult is a line of weir map --results.
type mapResult struct {
	Value  any      `json:"value"`
	Data   any      `json:"data"`
	Warn   []string `json:"warn"`
	Reject []string `json:"reject"`
	Error  *struct {
		Kind         string `json:"kind"`
		Code         string `json:"code"`
		Message      string `json:"message"`
		Line, Column int
	} `json:"error"`
}

// runMap runs the command in this process and returns its exit error and first line.
func runMap(t *testing.T, c *mapCmd, in string) (line string, stderr string, err error) {
	t.Helper()
	var out, log bytes.Buffer
	err = c.Run(&app{ctx: context.Background(), stdin: strings.NewReader(in), stdout: &out, stderr: &log, environ: os.Getenv})
	line, _, _ = strings.Cut(out.String(), "\n")
	return line, log.String(), err
}

// Every vector of the mapping language, through the command line.
func TestMapVectors(t *testing.T) {
	f, err := os.Open("../../mapping/testdata/data-prep-vectors.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	dir := t.TempDir()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var v struct {
			ID         string          `json:"id"`
			Expr       string          `json:"expr"`
			Input      json.RawMessage `json:"input"`
			Target     string          `json:"target"`
			Mappings   json.RawMessage `json:"mappings"`
			Schema     json.RawMessage `json:"schema"`
			AllowNulls bool            `json:"allowNullValues"`
			Warn       []string        `json:"warn"`
			Want       json.RawMessage `json:"want"`
		}
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		t.Run(v.ID, func(t *testing.T) {
			c := &mapCmd{Expr: v.Expr, Target: v.Target, Results: true}
			if v.Mappings != nil {
				c.Set = filepath.Join(dir, v.ID+".json")
				body, _ := json.Marshal(map[string]any{"mappings": v.Mappings, "allowNullValues": v.AllowNulls})
				writeTestFile(t, c.Set, body)
			}
			if v.Schema != nil {
				c.Schema = filepath.Join(dir, v.ID+".schema.json")
				writeTestFile(t, c.Schema, v.Schema)
			}
			line, _, err := runMap(t, c, string(v.Input)+"\n")
			var exit exitError
			if err != nil && (!errors.As(err, &exit) || exit != 2) {
				t.Fatal(err)
			}
			var got mapResult
			decodeNumbers(t, []byte(line), &got)
			var want any
			decodeNumbers(t, v.Want, &want)
			if special, ok := want.(map[string]any); ok && special["$error"] != nil {
				if got.Error == nil || got.Error.Kind != special["$error"] {
					t.Fatalf("got %s, want an error of kind %s", line, special["$error"])
				}
				return
			} else if ok && special["$reject"] != nil {
				var paths []any
				for _, p := range got.Reject {
					paths = append(paths, p)
				}
				if !reflect.DeepEqual(paths, special["$reject"]) {
					t.Fatalf("got %s, want the row rejected for %v", line, special["$reject"])
				}
				return
			}
			result := got.Value
			if v.Mappings != nil {
				result = got.Data
			}
			if !sameJSON(result, want) || !slices.Equal(got.Warn, v.Warn) {
				t.Fatalf("got %s, want %s with warn %v", line, v.Want, v.Warn)
			}
		})
	}
}

func writeTestFile(t *testing.T, name string, body []byte) {
	t.Helper()
	if err := os.WriteFile(name, body, 0o600); err != nil {
		t.Fatal(err)
	}
}

func decodeNumbers(t *testing.T, raw []byte, into any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(into); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
}

// sameJSON compares numbers by their mathematical value.
func sameJSON(a, b any) bool {
	switch a := a.(type) {
	case json.Number:
		n, ok := b.(json.Number)
		if !ok {
			return false
		}
		x, ok := new(big.Rat).SetString(a.String())
		y, ok2 := new(big.Rat).SetString(n.String())
		return ok && ok2 && x.Cmp(y) == 0
	case []any:
		l, ok := b.([]any)
		return ok && slices.EqualFunc(a, l, sameJSON)
	case map[string]any:
		m, ok := b.(map[string]any)
		if !ok || len(a) != len(m) {
			return false
		}
		for k, v := range a {
			w, ok := m[k]
			if !ok || !sameJSON(v, w) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(a, b)
}

// The built command: records on standard input, bare results, a compile error with its caret and exit code 2.
func TestMapCommand(t *testing.T) {
	weir := func(in string, args ...string) (stdout, stderr string, code int) {
		cmd := exec.CommandContext(t.Context(), os.Args[0], append([]string{"map"}, args...)...)
		cmd.Env = append(os.Environ(), "WEIR_TEST_MAIN=1")
		cmd.Stdin = strings.NewReader(in)
		var out, log bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &log
		_ = cmd.Run() // the exit code is looked at
		return out.String(), log.String(), cmd.ProcessState.ExitCode()
	}
	out, _, code := weir("{\"a\":1.50}\n\n{\"a\":\"x\"}\n", "--expr", "concat(a, '!')")
	if out != "\"1.50!\"\n\"x!\"\n" || code != 0 {
		t.Errorf("bare results: %q, exit %d", out, code)
	}
	out, log, code := weir("{}\n", "--expr", "1 + uper(a)")
	if out != "" || code != 2 || !strings.Contains(log, "unknown function uper, did you mean upper? (1:5)") || !strings.Contains(log, "\n    ^") {
		t.Errorf("compile error: %q, %q, exit %d", out, log, code)
	}
	out, _, code = weir("", "--expr", "uper(a)", "--results")
	if code != 2 || !strings.HasPrefix(out, `{"error":{"kind":"unknown_function","code":"MAPPER-3021-400"`) || !strings.HasSuffix(out, `"line":1,"column":1}}`+"\n") {
		t.Errorf("compile error with --results: %q, exit %d", out, code)
	}
	out, _, code = weir("{\"n\":0}\nnot json\n{\"n\":4}\n", "--expr", "8 / n", "--results")
	want := `{"error":{"kind":"arithmetic","code":"MAPPER-3700-400","message":"division by zero","line":1,"column":3}}`
	if rows := strings.Split(out, "\n"); code != 0 || len(rows) != 4 || rows[0] != want || !strings.Contains(rows[1], "INGEST-1401-400") || rows[2] != `{"value":2}` {
		t.Errorf("run-time errors: %q, exit %d", out, code)
	}
}
