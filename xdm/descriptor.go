package xdm

// Descriptor types (§1.7).
const (
	DescriptorIdentity          = "xdm:descriptorIdentity"
	DescriptorReferenceIdentity = "xdm:descriptorReferenceIdentity"
	DescriptorOneToOne          = "xdm:descriptorOneToOne"
	DescriptorRelationship      = "xdm:descriptorRelationship"
	DescriptorDisplayInfo       = "xdm:alternateDisplayInfo"
	DescriptorPrimaryKey        = "xdm:descriptorPrimaryKey"
	DescriptorVersion           = "xdm:descriptorVersion"
	DescriptorTimestamp         = "xdm:descriptorTimestamp"
	DescriptorDeprecated        = "xdm:descriptorDeprecated"
	DescriptorGranularity       = "xdm:descriptorTimeSeriesGranularity"
	DescriptorLabel             = "xdm:descriptorLabel"
)
