package author

import (
	"strings"
	"testing"

	"weir/specs"
)

// TestDocs writes the page of every built-in spec: real requests, every call, and no credential.
func TestDocs(t *testing.T) {
	for _, s := range specs.Connections() {
		doc, err := parseDocument(s.Body)
		if err != nil {
			t.Fatal(err)
		}
		if doc.path("sourceSpec", "attributes", "urlParams") == nil {
			continue
		}
		page, err := Docs(t.Context(), s.Body)
		if err != nil {
			t.Errorf("%s: %v", s.File, err)
			continue
		}
		for _, want := range []string{"## Prerequisites", "## Authentication", "## Source parameters", "HTTP/1.1 200 OK", "/flowservice/connections\"", "/explore?", "/sourceConnections", "/tenant/schemas", "/dataSets", "/targetConnections", "/mappingSets", "/flowservice/flows\"", "/runs?"} {
			if !strings.Contains(page, want) {
				t.Errorf("%s: the page lacks %q", s.File, want)
			}
		}
		for _, secret := range []string{"proof-password", "proof-access-token", "proof-static-token", "proof-client-secret", "proof-issued-token", "proof-key-authKey1"} {
			if strings.Contains(page, secret) {
				t.Errorf("%s: the page shows %s", s.File, secret)
			}
		}
	}
}
