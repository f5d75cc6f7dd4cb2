package author

import (
	"testing"

	"weir/specs"
)

// TestProveBuiltIn proves every built-in spec that describes a request, every stream of it, with every auth spec.
func TestProveBuiltIn(t *testing.T) {
	for _, s := range specs.Connections() {
		doc, err := parseDocument(s.Body)
		if err != nil {
			t.Fatal(err)
		}
		if doc.path("sourceSpec", "attributes", "urlParams") == nil {
			continue
		}
		t.Run(s.File, func(t *testing.T) {
			t.Parallel()
			for i, a := range doc.get("authSpec").list() {
				opt := ProveOptions{AuthSpec: a.str("name")}
				if i > 0 { // the situations are about paging; what differs is who is let in
					opt.Only = []string{"plain", "wrong credentials"}
				}
				proofs, err := Prove(t.Context(), s.Body, opt)
				if err != nil {
					t.Fatal(err)
				}
				for _, p := range proofs {
					for _, r := range p.Results {
						if r.Outcome == Failed {
							t.Errorf("%s %s: %s: %s (%d records, %d requests)", p.Stream, p.AuthSpec, r.Situation, r.Note, r.Records, r.Requests)
						}
					}
				}
			}
		})
	}
}
