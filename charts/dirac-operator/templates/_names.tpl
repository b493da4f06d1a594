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
{{- /* What the operator does to objects of the namespaces it looks after; nothing more. */ -}}
{{- define "dirac-operator.rules" -}}
- apiGroups: [diracgrid.org]
  resources: [diracinstallations, virtualorganizations, sites, clouds, pilotpools, downtimes]
  verbs: [list, watch]
- apiGroups: [diracgrid.org]
  resources: [diracinstallations/status, virtualorganizations/status, sites/status, clouds/status, pilotpools/status, downtimes/status, pilotvms/status]
  verbs: [patch]
# A finalizer keeps a cloud while it still has VMs of ours; adding it is a patch of the object's metadata.
- apiGroups: [diracgrid.org]
  resources: [clouds]
  verbs: [patch]
- apiGroups: [diracgrid.org]
  resources: [pilotvms]
  verbs: [get, list, watch, create, patch, delete]
# Credentials are read one by one, by the names that the objects give; never listed.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get]
# Console logs of VMs that failed.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [list, create, patch, delete]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}
