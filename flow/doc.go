// Package flow runs flows: it plans ticks and windows, copies pages from a source to the stage, hands the stage to the
// promotion, and makes a run's outcome current in one transaction. It knows connectors only through [Source].
//
// A run is a chain of jobs in the database's queue: one "copy" job per chunk of pages, one "promote" job, one "finish" job. Each job
// writes its checkpoint, enqueues its successor and completes itself in one transaction, so that a process killed at any line costs
// one step and never a row.
package flow
