package lake

// UploadDir is the folder of what clients upload for a batch, until the batch ends: files/<path> whole files, chunks/<path>/<from>-<to>
// pieces of large ones.
func UploadDir(batch string) string { return "uploads/" + batch + "/" }
