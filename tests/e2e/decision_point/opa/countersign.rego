package countersign

# Whatever no rule below speaks of.
default decision := {
	"decision": false,
	"context": {"reason": "nobody allowed this"},
}

decision := {"decision": true, "context": {"grant_ttl_s": 42}} if {
	input.action.name == "http:POST"
	input.subject.properties.uid.grade == "kernel"
	input.subject.properties.device.ek_class == "virtual"
	startswith(input.resource.id, "https://api.example/")
}

decision := {
	"decision": false,
	"context": {"outcome": "approval_required", "approval": "second-person"},
} if {
	input.action.name == "http:DELETE"
}
