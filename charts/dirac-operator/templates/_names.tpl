{{- define "name" -}}{{ .Release.Name | trunc 53 | trimSuffix "-" }}{{- end -}}
{{- define "account" -}}{{ .Values.serviceAccount.name | default (include "name" .) }}{{- end -}}
{{- define "labels" -}}
app.kubernetes.io/name: dirac-operator
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}
{{- define "selector" -}}
app.kubernetes.io/name: dirac-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}
{{- /* What the operator does to objects of the namespaces it looks after; nothing more. */ -}}
{{- define "rules" -}}
- apiGroups: [diracgrid.org]
  resources: [diracinstallations, virtualorganizations, sites, clouds, pilotpools, downtimes]
  verbs: [get, list, watch]
- apiGroups: [diracgrid.org]
  resources: [diracinstallations/status, virtualorganizations/status, sites/status, clouds/status, pilotpools/status, downtimes/status, pilotvms/status]
  verbs: [get, patch]
# A finalizer keeps a cloud while it still has VMs of ours; adding it is a patch of the object's metadata.
- apiGroups: [diracgrid.org]
  resources: [clouds, diracinstallations]
  verbs: [patch]
- apiGroups: [diracgrid.org]
  resources: [pilotvms]
  verbs: [get, list, watch, create, patch, delete]
# An owner reference that blocks the owner's deletion needs the right to set its finalizers.
- apiGroups: [diracgrid.org]
  resources: [pilotvms/finalizers, pilotpools/finalizers, clouds/finalizers, diracinstallations/finalizers]
  verbs: [update]
# Credentials are read one by one, by the names that the objects give; never listed.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get]
# Console logs of VMs that failed.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, create, patch, delete]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}
