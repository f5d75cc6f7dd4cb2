package api

// flowServiceRoutes is the Flow Service (flow-service §2.1): every path, in the order of the contract's matrix.
var flowServiceRoutes = []route{
	{"GET", "/connections", connections.list, access{}},
	{"POST", "/connections", connections.create, access{}},
	{"POST", "/connections/search", connections.search, access{}},
	{"GET", "/connections/{id}", connections.getOne, access{}},
	{"PATCH", "/connections/{id}", connections.patch, access{}},
	{"DELETE", "/connections/{id}", connections.deleteOne, access{}},
	{"GET", "/connections/{id}/test", testConnection, access{}},
	{"GET", "/connections/{id}/explore", exploreConnection, access{}},
	{"GET", "/connections/{id}/configs", configsOfConnection, access{}},
	{"POST", "/connections/{id}/action", connections.action, access{}},
	{"POST", "/connections/{id}/consent", startConsent, access{}},
	{"GET", "/consent", endConsent, access{open: true}},

	{"GET", "/connectionSpecs", connectionSpecs.list, access{}},
	{"POST", "/connectionSpecs", connectionSpecs.createSpec, access{}},
	{"GET", "/connectionSpecs/{id}", connectionSpecs.getOne, access{}},
	{"PUT", "/connectionSpecs/{id}", connectionSpecs.putSpec, access{}},
	{"GET", "/connectionSpecs/{id}/explore", exploreSpec, access{}},
	{"GET", "/connectionSpecs/{id}/configs", configsOfSpec, access{}},

	{"GET", "/flowSpecs", flowSpecs.list, access{}},
	{"POST", "/flowSpecs", flowSpecs.createSpec, access{}},
	{"POST", "/flowSpecs/search", flowSpecs.search, access{}},
	{"GET", "/flowSpecs/{id}", flowSpecs.getOne, access{}},
	{"PUT", "/flowSpecs/{id}", flowSpecs.putSpec, access{}},

	{"GET", "/sourceConnections", sourceConnections.list, access{}},
	{"POST", "/sourceConnections", sourceConnections.create, access{}},
	{"GET", "/sourceConnections/{id}", sourceConnections.getOne, access{}},
	{"PATCH", "/sourceConnections/{id}", sourceConnections.patch, access{}},
	{"DELETE", "/sourceConnections/{id}", sourceConnections.deleteOne, access{}},
	{"POST", "/sourceConnections/{id}/action", sourceConnections.action, access{}},

	{"GET", "/targetConnections", targetConnections.list, access{}},
	{"POST", "/targetConnections", targetConnections.create, access{}},
	{"GET", "/targetConnections/{id}", targetConnections.getOne, access{}},
	{"PATCH", "/targetConnections/{id}", targetConnections.patch, access{}},
	{"DELETE", "/targetConnections/{id}", targetConnections.deleteOne, access{}},
	{"POST", "/targetConnections/{id}/action", targetConnections.action, access{}},

	{"GET", "/flows", flows.list, access{}},
	{"POST", "/flows", flows.create, access{}},
	{"POST", "/flows/search", flows.search, access{}},
	{"GET", "/flows/{id}", flows.getOne, access{}},
	{"PATCH", "/flows/{id}", flows.patch, access{}},
	{"DELETE", "/flows/{id}", flows.deleteOne, access{}},
	{"POST", "/flows/{id}/action", flows.action, access{}},
	{"GET", "/flows/{id}/runs", listRunsOfFlow, access{}},

	{"GET", "/runs", runs.list, access{}},
	{"POST", "/runs", createRun, access{}},
	{"GET", "/runs/{id}", runs.getOne, access{}},
	{"PUT", "/runs/{id}", reportRun, access{}},
	{"POST", "/runs/{id}/action", actOnRun, access{}},
}
