package blob

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"

	"gocloud.dev/blob"
	"gocloud.dev/blob/fileblob"
	"gocloud.dev/blob/memblob"
	"gocloud.dev/blob/s3blob"
)

// openers are the kinds of buckets by URL scheme. A new storage backend is one line here; the conformance test runs over this table.
var openers = map[string]func(ctx context.Context, rest string) (*Bucket, error){
	"file": openFile,
	"s3":   openS3,
	"mem":  openMem,
}

// contentTypes are stored with an object where the backend keeps one, by the end of its name.
var contentTypes = map[string]string{
	".json":    "application/json",
	".ndjson":  "application/x-ndjson",
	".csv":     "text/csv",
	".parquet": "application/vnd.apache.parquet",
	".avro":    "application/avro",
	".zst":     "application/zstd",
}

func contentType(name string) string {
	if t := contentTypes[path.Ext(name)]; t != "" {
		return t
	}
	return "application/octet-stream"
}

// openFile opens file:///abs/dir. The rest is the path as it is: no escapes, no query.
func openFile(_ context.Context, dir string) (*Bucket, error) {
	if !filepath.IsAbs(dir) {
		return nil, fmt.Errorf("%q is not an absolute path: write file:///folder with three slashes", dir)
	}
	dir = filepath.Clean(dir)
	if dir == string(filepath.Separator) {
		return nil, errors.New("the root folder cannot be a bucket")
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, err
	}
	b, err := fileblob.OpenBucket(dir, &fileblob.Options{
		NoTempDir:   true, // a rename must not cross devices
		DirFileMode: 0o750,
		Metadata:    fileblob.MetadataDontWrite,
	})
	if err != nil {
		return nil, err
	}
	return &Bucket{b: b, base: "file://" + filepath.ToSlash(dir), dir: dir}, nil
}

// openS3 opens s3://bucket/prefix?region=…&endpoint=…&use_path_style=true&disable_https=true&profile=…; keys come from the environment
// of the AWS SDK (AWS_ACCESS_KEY_ID, …, shared files, instance role).
func openS3(ctx context.Context, rest string) (*Bucket, error) {
	u, err := url.Parse("s3://" + rest)
	if err != nil {
		return nil, errors.New("cannot parse the URL")
	}
	prefix := strings.Trim(u.Path, "/")
	if prefix != "" {
		if err := ValidName(prefix); err != nil {
			return nil, err
		}
	}
	u.Path, u.RawPath = "", ""
	b, err := new(s3blob.URLOpener).OpenBucketURL(ctx, u)
	if err != nil {
		return nil, err
	}
	base := "s3://" + u.Host
	if prefix != "" {
		b = blob.PrefixedBucket(b, prefix+"/")
		base += "/" + prefix
	}
	return &Bucket{b: b, base: base}, nil
}

// openMem opens a fresh bucket that lives as long as it is open.
func openMem(_ context.Context, name string) (*Bucket, error) {
	return &Bucket{b: memblob.OpenBucket(nil), base: "mem://" + strings.Trim(name, "/")}, nil
}
