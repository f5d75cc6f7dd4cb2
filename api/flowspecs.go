package api

import "weir"

// flowSpecs describe kinds of flows: which sources may feed which targets, and with what options (flow-service §7.1).
var flowSpecs = &resource{
	kind:   weir.KindFlowSpec,
	shared: true,
	fields: []string{
		"providerId", "sourceConnectionSpecIds", "targetConnectionSpecIds", "optionSpec", "transformationSpecs", "scheduleSpec", "runSpec",
		"attributes", "permissionsInfo",
	},
	unknownField: "FLOW-1449-400",
	check:        checkSpec,
}

// flowSpec is the lens on a flow spec.
type flowSpec struct {
	Name       string   `json:"name"`
	Sources    []string `json:"sourceConnectionSpecIds"`
	Targets    []string `json:"targetConnectionSpecIds"`
	Attributes struct {
		IsSourceFlow      *bool  `json:"isSourceFlow"`
		IsDestinationFlow bool   `json:"isDestinationFlow"`
		Frequency         string `json:"frequency"`
	} `json:"attributes"`
}
