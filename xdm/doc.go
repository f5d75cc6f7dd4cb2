// Package xdm knows the Experience Data Model: the standard library of components, how a schema of references becomes
// a full schema and the columns of a table, what a valid component is, and which changes would break stored data.
// It is pure: it reads tenant resources through a [Resolver] and never touches a database or the network.
// Contract: schema-catalog-data §1.5–§1.11 and §6.
package xdm
