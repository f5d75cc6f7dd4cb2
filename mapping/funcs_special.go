package mapping

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"

	"weir/record"
)

const categorySpecial = "Special"

var specialFunctions = []function{
	newID("uuid", ""),
	newID("guid", "uuid"),
	{
		name: "fpid_to_ecid", category: categorySpecial,
		doc: "An id of 38 digits from a first-party id, always the same for the same text. The digits are those of a SHA-256 hash and differ from the ids of the original, whose algorithm is not public.",
		sigs: ofText(func(s string) string {
			h := sha256.Sum256([]byte(s))
			return fmt.Sprintf("%019d%019d", binary.BigEndian.Uint64(h[:])&math.MaxInt64, binary.BigEndian.Uint64(h[8:])&math.MaxInt64)
		}),
		examples: []example{{expr: `fpid_to_ecid("9b2f6c1e-0d3a-4c55-8e77-1f2a3b4c5d6e")`, want: `"89745873817397569872729181423678510367"`}},
	},
}

func newID(name, alias string) function {
	return function{
		name: name, category: categorySpecial, alias: alias, impure: true,
		doc: "A new random id (uuid of version 4) for each call. A run that is repeated gives the same ids.",
		sigs: []signature{{returns: kText, run: func(c *call, _ []record.Value) (record.Value, error) {
			return record.TextOf(c.env().uuid(c.site())), nil
		}}},
		examples: []example{{expr: name + `() == ` + name + `()`, want: "false"}, {expr: `matches_regex(` + name + `(), "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")`, want: "true"}},
	}
}
