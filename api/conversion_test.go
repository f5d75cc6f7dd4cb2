package api_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// Bodies that are too large for a script: 4xx with a code, never 500 (data-prep checklist 27).
func TestMappingSetLimits(t *testing.T) {
	h := newHarness(t)
	cred, token := h.shared.newOrg(t)
	post := func(path, body string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.shared.server.URL+"/data/foundation/conversion"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("x-api-key", cred.ClientID)
		req.Header.Set("x-gw-ims-org-id", cred.OrgID)
		req.Header.Set("Content-Type", "application/json")
		resp, err := h.shared.server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(text)
	}
	many := `{"xdmSchema":"x","mappings":[` + strings.Repeat(`{"source":"a","destination":"b"},`, 9999) + `{"source":"a","destination":"b"}]}`
	for name, body := range map[string]string{
		"10,000 mappings": many,
		"20 MB":           `{"mappings":[],"x":"` + strings.Repeat("y", 20<<20) + `"}`,
		"nested deeply":   `{"mappings":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + `}`,
	} {
		for _, path := range []string{"/mappingSets", "/mappingSets?validate=false", "/mappingSets/validate"} {
			status, text := post(path, body)
			if status < 400 || status > 499 || !strings.Contains(text, "MAPPER-3000-") {
				t.Errorf("%s to %s: status %d, %.200s", name, path, status, text)
			}
		}
	}
	id := strings.Repeat("0", 32)
	for name, c := range map[string]struct{ body, code string }{
		"10,001 records": {`{"data":[` + strings.Repeat(`{},`, 10_000) + `{}]}`, "MAPPER-3000-400"},
		"10,000 records": {`{"data":[` + strings.Repeat(`{},`, 9_999) + `{}]}`, "MAPPER-3001-404"}, // only the set is missing
		"8 MB":           {`{"data":["` + strings.Repeat("y", 8<<20) + `"]}`, "MAPPER-3001-404"},
		"20 MB":          {`{"data":["` + strings.Repeat("y", 20<<20) + `"]}`, "MAPPER-3000-413"},
	} {
		if status, text := post("/mappingSets/"+id+"/diff", c.body); !strings.Contains(text, c.code) {
			t.Errorf("diff of %s: status %d, %.200s", name, status, text)
		}
	}
}
