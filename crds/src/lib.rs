//! The custom resources of dirac-operator.
