package record

import "regexp"

// Type is the logical type of a column (contract schema-catalog-data §1.8).
type Type uint8

// Types. Byte, Short, Int and Long are all stored as a 64-bit integer and Number as a double, so that a column never has to be widened;
// the narrower types only bound the values.
const (
	Invalid Type = iota
	String
	Boolean
	Byte
	Short
	Int
	Long
	Number
	Date
	Timestamp // microseconds, UTC
	Struct
	List
	Map // text keys
)

var typeNames = [...]string{"invalid", "string", "boolean", "byte", "short", "int", "long", "number", "date", "date-time", "object", "array", "map"}

// String is the XDM name of the type (meta:xdmType).
func (t Type) String() string { return typeNames[t] }

// Integer reports whether the type is one of the integer types.
func (t Type) Integer() bool { return t >= Byte && t <= Long }

// Field is one column of a schema: a leaf, a struct, a list or a map.
type Field struct {
	Name string
	Type Type
	// ID is the column's Iceberg field id; 0 until the lake assigned one. It never changes afterwards.
	ID int
	// Fields are the members of a struct, in column order (sorted by name when derived from a schema).
	Fields []Field
	// Elem is the element of a list or the value of a map (its Name is "element" or "value"). KeyID is the Iceberg id of a map's key.
	Elem  *Field
	KeyID int
	// Required: a row without this field is rejected (1555) if the parent object is present. Columns are written optional all the same.
	Required bool
	// Check constrains values; nil for none.
	Check *Check
	Title string
}

// Check is what a value must satisfy after conversion (contract data-prep §6.1, schema-catalog-data §4.7). Nil members do not constrain.
type Check struct {
	Enum                 []string
	Pattern              *regexp.Regexp // search semantics
	MinLength, MaxLength *int
	Minimum, Maximum     *float64
	ExclMin, ExclMax     *float64
	Format               string // email, uri, ipv4, ipv6, …; date and date-time are types
}

// Schema is a full schema as columns: what xdm composes and mapping, ingest and lake consume. It is immutable once built.
type Schema struct {
	ID      string // $id
	Title   string
	Version string
	Fields  []Field
}

// Lookup finds a field by its path of names; list elements and map values are stepped into with "[]". Nil if there is none.
func (s *Schema) Lookup(path ...string) *Field {
	root := Field{Type: Struct, Fields: s.Fields}
	at := &root
	for _, name := range path {
		if at = at.child(name); at == nil {
			return nil
		}
	}
	return at
}

func (f *Field) child(name string) *Field {
	switch f.Type {
	case Struct:
		for i := range f.Fields {
			if f.Fields[i].Name == name {
				return &f.Fields[i]
			}
		}
	case Map:
		return f.Elem
	case List:
		if name == "[]" {
			return f.Elem
		}
	}
	return nil
}
