package api

import (
	"embed"
	"strings"

	"weir"
	"weir/specs"
)

//go:embed openapi/*.yaml
var documents embed.FS

// listDocuments is GET /openapi: the names and addresses of the API descriptions.
func listDocuments(c *call) (reply, error) {
	type entry struct {
		Name string `json:"name"`
		URL  string `json:"url"`
	}
	out := []entry{}
	for _, sv := range c.server.served {
		if sv.document != "" {
			out = append(out, entry{strings.TrimSuffix(sv.document, ".yaml"), c.baseURL() + "/openapi/" + sv.document})
		}
	}
	return ok(out), nil
}

// extensionSchema is the JSON Schema of what connection specs may say beyond the vendor's attributes.
const extensionSchema = "weir-extension.schema.json"

// getDocument is GET /openapi/{name}.
func getDocument(c *call) (reply, error) {
	if c.param("name") == extensionSchema {
		return ok([]byte(specs.Extension())).with("Content-Type", "application/schema+json"), nil
	}
	for _, sv := range c.server.served {
		if sv.document != "" && sv.document == c.param("name") {
			b, err := documents.ReadFile("openapi/" + sv.document)
			return ok(b).with("Content-Type", "application/yaml"), err
		}
	}
	return reply{}, weir.Errorf("404000", "There is no API description %q. GET /openapi lists them.", c.param("name"))
}
