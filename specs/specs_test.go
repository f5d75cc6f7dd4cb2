package specs

import (
	"encoding/json"
	"testing"

	"github.com/google/uuid"
)

// needed are ids that clients hard-code (flow-service §7.2).
var needed = []string{
	"6360f136-5980-4111-8bdf-15d29eab3b5a", "2e8580db-6489-4726-96de-e33f5f60295f", "4e98f16f-87d6-4ef0-bdc6-7a2b0fe76e62",
	"c604ff05-7f1a-43c0-8e18-33bf874cb11c", "b3ba5556-48be-44b7-8b85-ff2b69b46dc4",
	"c8ce8c8c-37fb-4162-9fbf-c2f181e04a7a", "f6c0de0c-0a42-4cd9-9139-8768bf2f1b55", "0a27232b-2c6e-4396-b8c6-c9fc24e37ba4",
	"fd2c8ff3-1de0-4f6b-8fa8-4264784870eb", "cf16d886-c627-4872-9936-fb08d6cba8cc", "fdf850b4-5a8d-4a5a-9ce8-4caef9abb2a8",
	"59a4b493-a615-40f9-bd38-f823d0909a2b", "f82aae23-91e7-4884-b25f-2d2159d841fd", "63d2b27b-69a5-45c9-a7fe-78148a25de3c",
	"d8ee38de-7ae9-4058-9610-c79ce75f8e92", "2acf109f-9b66-4d5e-bc18-ebb2adcff8d5", "35d6c4d8-c9a9-11eb-b8bc-0242ac130003",
	"6499120c-0b15-42dc-936e-847ea3c24d72", "9753525b-82c7-4dce-8a9b-5ccfce2b9876",
}

func TestBuiltIns(t *testing.T) {
	ids, names := map[string]bool{}, map[string]string{}
	for kind, list := range map[string][]Spec{"connection": Connections(), "flow": Flows()} {
		for _, s := range list {
			var head struct{ ID, Name, ProviderID, Version string }
			if err := json.Unmarshal(s.Body, &head); err != nil {
				t.Errorf("%s: %v", s.File, err)
			}
			if _, err := uuid.Parse(s.ID); err != nil || head.ProviderID == "" || head.Version == "" || s.Name == "" {
				t.Errorf("%s/%s: id, name, providerId and version must be set: %+v", kind, s.File, head)
			}
			if ids[s.ID] {
				t.Errorf("%s: id %s is used twice", s.File, s.ID)
			}
			if other := names[kind+s.Name]; other != "" {
				t.Errorf("%s and %s have the same name", s.File, other)
			}
			ids[s.ID], names[kind+s.Name] = true, s.File
		}
	}
	for _, id := range needed {
		if !ids[id] {
			t.Errorf("%s is missing", id)
		}
	}
}

// TestFlowsKnowTheirSources: every REST connection spec can be joined by RestStorageToAEP, and no flow spec names an unknown one.
func TestFlowsKnowTheirSources(t *testing.T) {
	rest, all := map[string]string{}, map[string]bool{}
	for _, s := range Connections() {
		all[s.ID] = true
		var c struct{ Type string }
		if err := json.Unmarshal(s.Body, &c); err != nil {
			t.Fatal(err)
		}
		if c.Type == "generic-rest" || c.Type == "generic-rest-connector" {
			rest[s.ID] = s.File
		}
	}
	for _, f := range Flows() {
		var flow struct{ SourceConnectionSpecIDs, TargetConnectionSpecIDs []string }
		if err := json.Unmarshal(f.Body, &flow); err != nil {
			t.Fatal(err)
		}
		for _, id := range append(flow.SourceConnectionSpecIDs, flow.TargetConnectionSpecIDs...) {
			if !all[id] {
				t.Errorf("%s names the unknown spec %s", f.File, id)
			}
			if f.Name == "RestStorageToAEP" {
				delete(rest, id)
			}
		}
	}
	for id, file := range rest {
		t.Errorf("RestStorageToAEP does not list %s (%s)", id, file)
	}
}
