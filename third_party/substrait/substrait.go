// Package substrait takes the place of the module of this name, which holds the function catalogue of Substrait expressions as YAML.
//
// Apache Iceberg's table package reads that catalogue when a process starts, to push filters into scans: a tenth of a second and 32 MB at
// each start. Weir never scans with a filter, so the catalogue is empty here (docs/decisions/dependencies.md).
package substrait

import "embed"

//go:embed extensions/*
var extensions embed.FS

// GetSubstraitExtensionsFS returns the catalogue: one file without functions in the folder extensions.
func GetSubstraitExtensionsFS() embed.FS { return extensions }

// GetSubstraitFS is the same.
func GetSubstraitFS() embed.FS { return extensions }
