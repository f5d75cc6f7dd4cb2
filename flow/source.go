package flow

import (
	"context"
	"iter"

	"weir"
)

// Source is what a connector must do. All methods honour ctx and may be called from several goroutines.
type Source interface {
	// Test checks credentials and reachability; nil means that a run could start.
	Test(ctx context.Context) error
	// Explore lists, previews and infers (flow-service §5).
	Explore(ctx context.Context, q weir.ExploreQuery) (weir.Preview, error)
	// Pages yields the records of a window in source order, from a checkpoint on (nil: the beginning). After an error the sequence ends.
	// A chunk is valid until the next one is asked for; only a chunk with PageEnd may be resumed after.
	Pages(ctx context.Context, w weir.Window, from weir.Checkpoint) iter.Seq2[weir.Chunk, error]
	// Shape says how the records look to a mapping.
	Shape() weir.Shape
}

// Opener makes a Source from a binding. It makes no outgoing call.
type Opener func(ctx context.Context, b weir.Binding) (Source, error)
