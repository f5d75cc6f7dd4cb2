package api

import (
	"embed"
	"strings"

	"weir"
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

// getDocument is GET /openapi/{name}.
func getDocument(c *call) (reply, error) {
	for _, sv := range c.server.served {
		if sv.document != "" && sv.document == c.param("name") {
			b, err := documents.ReadFile("openapi/" + sv.document)
			return ok(b).with("Content-Type", "application/yaml"), err
		}
	}
	return reply{}, weir.Errorf("404000", "There is no API description %q. GET /openapi lists them.", c.param("name"))
}
