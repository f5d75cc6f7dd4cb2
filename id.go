package weir

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/oklog/ulid/v2"
)

// NewUUID is the id of a flow-service resource (contract flow-service §2.2): a version 4 uuid, lower case.
func NewUUID() string { return uuid.NewString() }

// NewBatchID is the id of a batch: a 26-character upper-case ULID (flow-service §8.6).
func NewBatchID() string { return ulid.Make().String() }

// NewHex returns n random bytes as 2n lower-case hex digits: 12 for a dataset (24 digits), 16 for a mapping set (32),
// 24 for a schema id (48), 20 for a descriptor (40).
func NewHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return hex.EncodeToString(b)
}

// NewETag is an opaque version text in the shape clients know (flow-service §2.2), without the quotes.
func NewETag(now time.Time) string {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return fmt.Sprintf("%08x-0000-0200-0000-%08x0000", binary.BigEndian.Uint32(b[:]), uint32(now.Unix()))
}

// NewOrgID is a fresh organisation id: 24 hex digits and @AdobeOrg.
func NewOrgID() string { return strings.ToUpper(NewHex(12)) + "@AdobeOrg" }
