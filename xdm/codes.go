package xdm

import (
	"strings"

	"weir"
)

// Codes of the registry's error family (contract §1.12). The ones the contract leaves open are marked (inferred).
const (
	codeBody        = "XDM-1500-400" // (inferred) the body is not an object or a member has the wrong type
	codeTitle       = "XDM-1520-400" // (inferred) title missing
	codeComposition = "XDM-1522-400" // (inferred) class, behaviour or field group rules
	codeRef         = "XDM-1523-400" // (inferred) a $ref that cannot be resolved or refers to itself
	codeField       = "XDM-1524-400" // (inferred) a field's name, type or constraint
	codeConflict    = "XDM-1525-400" // (inferred) one path with two types
	codeEvolution   = "XDM-1528-400" // (inferred) a breaking change
	codeDescriptor  = "XDM-1529-400" // (inferred) descriptor rules
	codeRefIdentity = "XDM-1526-400" // relationship without a reference identity
	codeRefSpace    = "XDM-1527-400" // relationship namespaces differ
	codeUnion       = "XDM-1530-400" // (inferred) profile rules
	codeCSV         = "XDM-1531-400" // (inferred) csv2schema
)

// namespaceCodes say that a field is not under the tenant's root, by resource type.
var namespaceCodes = map[string]string{
	Schemas: "XDM-1020-400", Classes: "XDM-1021-400", FieldGroups: "XDM-1022-400", DataTypes: "XDM-1023-400",
}

// findings collects faults of one body, so that all are reported at once.
type findings struct {
	list []weir.Finding
}

func (f *findings) add(code, pointer, message string) {
	f.list = append(f.list, weir.Finding{Code: code, Pointer: pointer, Message: message})
}

// err is nil without findings; otherwise the first finding leads.
func (f *findings) err() error {
	if len(f.list) == 0 {
		return nil
	}
	first := f.list[0]
	return &weir.Error{Code: first.Code, Message: first.Message, Pointer: first.Pointer, Details: f.list}
}

// pointer joins names into a JSON pointer.
func pointer(names ...string) string {
	var b strings.Builder
	for _, n := range names {
		b.WriteByte('/')
		b.WriteString(pointerEscape.Replace(n))
	}
	return b.String()
}

var pointerEscape = strings.NewReplacer("~", "~0", "/", "~1")
