package specs_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/source/rest"
	"weir/specs"
)

// source is a built-in REST spec as a catalogue shows it.
type source struct {
	specs.Spec
	Type       string
	Attributes struct{ Category string }
	AuthSpec   []struct {
		Name string
		Spec schema
	}
	SourceSpec struct {
		Spec       schema
		Attributes struct {
			UIAttributes struct {
				Category          struct{ Key string }
				DocumentationLink string
				Label             struct{ Text string }
			}
		}
	}
}

type schema struct {
	Properties map[string]struct {
		Title, Description string
		Enum               []string
	}
}

func sources(t *testing.T) []source {
	t.Helper()
	var out []source
	for _, s := range specs.Connections() {
		c := source{Spec: s}
		if err := json.Unmarshal(s.Body, &c); err != nil {
			t.Fatalf("%s: %v", s.File, err)
		}
		if strings.HasPrefix(c.Type, "generic-rest") {
			c.Spec = s
			out = append(out, c)
		}
	}
	return out
}

var jsonBlock = regexp.MustCompile("(?s)```json\n(.*?)\n```")

// example reads the bodies of a connection and of a source connection from the page of a source.
func (s *source) example(t *testing.T) weir.Binding {
	t.Helper()
	page, err := os.ReadFile("../docs/sources/" + s.File + ".md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := jsonBlock.FindAllSubmatch(page, -1)
	if len(blocks) != 2 {
		t.Fatalf("the page has %d JSON bodies, not a connection and a source connection", len(blocks))
	}
	var connection struct {
		ConnectionSpec struct{ ID string }
		Auth           struct {
			SpecName string
			Params   json.RawMessage
		}
	}
	var from struct {
		ConnectionSpec struct{ ID string }
		Params         json.RawMessage
	}
	if err := json.Unmarshal(blocks[0][1], &connection); err != nil {
		t.Fatalf("connection: %v", err)
	}
	if err := json.Unmarshal(blocks[1][1], &from); err != nil {
		t.Fatalf("source connection: %v", err)
	}
	if connection.ConnectionSpec.ID != s.ID || from.ConnectionSpec.ID != s.ID {
		t.Errorf("the bodies name %s and %s, not %s", connection.ConnectionSpec.ID, from.ConnectionSpec.ID, s.ID)
	}
	return weir.Binding{Spec: s.Body, AuthSpec: connection.Auth.SpecName, Auth: connection.Auth.Params, Params: from.Params}
}

// TestSourcePages: every REST source has its page, whose bodies the API would take as they stand.
func TestSourcePages(t *testing.T) {
	index, err := os.ReadFile("../docs/sources/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range sources(t) {
		t.Run(s.File, func(t *testing.T) {
			if f := rest.CheckSpec(s.Body); len(f) > 0 {
				t.Errorf("spec: %v", f)
			}
			b := s.example(t)
			if f := append(rest.CheckAuth(b.Spec, b.AuthSpec, b.Auth), rest.CheckParams(b)...); len(f) > 0 {
				t.Errorf("bodies of the page: %v", f)
			}
			if line := fmt.Sprintf("](%s.md) | `%s`", s.File, s.ID); !strings.Contains(string(index), line) {
				t.Errorf("the index has no line with %s", line)
			}
			ui := s.SourceSpec.Attributes.UIAttributes
			if ui.DocumentationLink != "docs/sources/"+s.File+".md" || ui.Label.Text == "" {
				t.Errorf("documentationLink %q, label %q", ui.DocumentationLink, ui.Label.Text)
			}
			if ui.Category.Key == "" || ui.Category.Key != s.Attributes.Category {
				t.Errorf("category %q in uiAttributes and %q in attributes", ui.Category.Key, s.Attributes.Category)
			}
			s.SourceSpec.Spec.described(t, "source parameter")
			for _, a := range s.AuthSpec {
				a.Spec.described(t, a.Name+" parameter")
			}
		})
	}
}

func (s *schema) described(t *testing.T, what string) {
	t.Helper()
	for name, p := range s.Properties {
		if p.Title == "" || p.Description == "" {
			t.Errorf("%s %s needs a title and a description", what, name)
		}
	}
}

// open matches what must not be left in a request.
var open = regexp.MustCompile(`\$\{|\{\{|@\{|\{(SCHEDULE_QUERY|START_TIME|END_TIME)\}`)

// TestFirstRequests: the bodies of the pages lead to a request in which every placeholder is filled, in a backfill and in a
// later run, for each value a parameter lists.
func TestFirstRequests(t *testing.T) {
	end := time.Date(2025, 3, 4, 5, 6, 7, 0, time.UTC)
	for _, s := range sources(t) {
		t.Run(s.File, func(t *testing.T) {
			b := s.example(t)
			for _, params := range s.choices(t, b.Params) {
				b.Params = params
				if f := rest.CheckParams(b); len(f) > 0 {
					t.Errorf("%s: %v", params, f)
				}
				for _, w := range []weir.Window{{End: end}, {Start: end.Add(-48 * time.Hour), End: end}} {
					text, host := firstRequest(t, b, w)
					if plain, err := url.PathUnescape(text); err != nil || open.MatchString(plain) || !strings.Contains(host, ".") {
						t.Errorf("%s: %v %s", params, err, text)
					}
				}
			}
		})
	}
}

// choices varies the parameters by the values that the schema lists.
func (s *source) choices(t *testing.T, params json.RawMessage) []json.RawMessage {
	t.Helper()
	out := []json.RawMessage{params}
	for name, p := range s.SourceSpec.Spec.Properties {
		for _, v := range p.Enum {
			var m map[string]any
			if err := json.Unmarshal(params, &m); err != nil {
				t.Fatal(err)
			}
			m[name] = v
			raw, err := json.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, raw)
		}
	}
	return out
}

// firstRequest is the first request of a run as text; it is never sent. Credentials that would have to be fetched stay away.
func firstRequest(t *testing.T, b weir.Binding, w weir.Window) (text, host string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	b.AuthSpec = ""
	s, err := rest.Open(ctx, b, rest.Options{
		Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
		Trace: func(r *http.Request) {
			if text != "" {
				return
			}
			text, host = r.Method+" "+r.URL.String(), r.URL.Host
			for name, v := range r.Header {
				text += fmt.Sprintf("\n%s: %s", name, v)
			}
			if r.GetBody != nil {
				if body, err := r.GetBody(); err == nil {
					raw, _ := io.ReadAll(body)
					text += "\n\n" + strings.ReplaceAll(string(raw), "%", "%25")
				}
			}
			cancel()
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, err = range s.Pages(ctx, w, nil) {
		if err != nil {
			break
		}
	}
	if text == "" {
		t.Errorf("no request: %v", err)
	}
	return text, host
}
