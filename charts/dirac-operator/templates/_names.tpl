{{- define "dirac-operator.name" -}}{{ .Release.Name | replace "." "-" | trunc 53 | trimSuffix "-" }}{{- end -}}
{{- define "dirac-operator.account" -}}{{ .Values.serviceAccount.name | default (include "dirac-operator.name" .) }}{{- end -}}
{{- define "dirac-operator.labels" -}}
app.kubernetes.io/name: dirac-operator
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}
{{- define "dirac-operator.selector" -}}
app.kubernetes.io/name: dirac-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}
{{- /* The namespaces that are looked after, as a JSON list; none: all of them. */ -}}
{{- define "dirac-operator.namespaces" -}}
{{- if .Values.clusterWide }}[]{{ else }}{{ prepend .Values.watchNamespaces .Release.Namespace | uniq | toJson }}{{ end -}}
{{- end -}}
{{- /* What the operator does to objects of the namespaces it looks after; nothing more. */ -}}
{{- define "dirac-operator.rules" -}}
- apiGroups: [diracgrid.org]
  resources: [diracinstallations, virtualorganizations, sites, clouds, pilotpools, downtimes]
  verbs: [list, watch]
- apiGroups: [diracgrid.org]
  resources: [diracinstallations/status, virtualorganizations/status, sites/status, clouds/status, pilotpools/status, downtimes/status, pilotvms/status]
  verbs: [patch]
# A finalizer keeps a cloud while it still has VMs of ours, an installation while it has rows of theirs, and a pool while its VMs have
# jobs; adding it is a patch of the object's metadata.
- apiGroups: [diracgrid.org]
  resources: [diracinstallations, clouds, pilotpools]
  verbs: [patch]
- apiGroups: [diracgrid.org]
  resources: [pilotvms]
  verbs: [get, list, watch, create, patch, delete]
# Credentials are read one by one, by the names that the objects give; never listed. A finalizer, which is a patch, keeps one while VMs
# can be deleted only with it: a namespace that is deleted would take the Secret first. A refresh token that takes the place of another is a
# patch too.
- apiGroups: [""]
  resources: [secrets]
  {{- with .Values.secretNames }}
  resourceNames: {{ toJson . }}
  {{- end }}
  verbs: [get, patch]
# Console logs of VMs that failed: written, and listed by their label so that the oldest go; never read.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [list, create, patch, delete]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- if .Values.managed.enabled }}
# What managed installations are made of: made, looked at, and taken away when the manifest does not ask for it any more. Volumes are only
# looked at: nothing that has data is ever deleted by the operator itself.
- apiGroups: [apps]
  resources: [deployments]
  verbs: [list, create, patch, delete]
- apiGroups: [apps]
  resources: [statefulsets]
  verbs: [list, create, patch]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [list, create, patch, delete]
- apiGroups: [""]
  resources: [services]
  verbs: [list, create, patch]
- apiGroups: [""]
  resources: [pods, persistentvolumeclaims]
  verbs: [list]
- apiGroups: [""]
  resources: [secrets]
  verbs: [create]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [create, patch]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [create, patch]
{{- end }}
{{- end -}}
