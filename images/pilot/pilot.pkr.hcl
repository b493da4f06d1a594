# An image with a pilot's machine in it, made in an OpenStack from a stock one. OS_CLOUD, or the other variables of an openrc, say where.
packer {
  required_plugins {
    openstack = {
      source  = "github.com/hashicorp/openstack"
      version = "~> 1.1"
    }
  }
}

variable "source_image_name" {
  type    = string
  default = "debian-12"
}

variable "ssh_username" {
  type        = string
  default     = "debian"
  description = "almalinux or rocky on EL"
}

variable "flavor" {
  type    = string
  default = "m1.medium"
}

variable "networks" {
  type        = list(string)
  description = "IDs; the machine that runs packer must reach the VM in them, and the VM PyPI"
}

source "openstack" "pilot" {
  image_name        = "dirac-pilot"
  image_visibility  = "private" # it may hold a proxy
  source_image_name = var.source_image_name
  flavor            = var.flavor
  networks          = var.networks
  ssh_username      = var.ssh_username
}

build {
  sources = ["source.openstack.pilot"]

  provisioner "shell" {
    inline = ["mkdir /tmp/recipe"]
  }

  provisioner "file" {
    source      = "${path.root}/" # with the slash: what is in it
    destination = "/tmp/recipe"
  }

  provisioner "shell" {
    inline = [
      "cloud-init status --wait || true", # it may hold the lock of apt
      "sudo sh /tmp/recipe/install",
      "rm -r /tmp/recipe",
      "sudo cloud-init clean --logs",
    ]
  }
}
