//! Copies of RAM and devices, and what they were at one moment.

use super::Bus;
use super::image::Image;
use crate::devices::Devices;
use crate::devices::virtio_blk::VirtioBlk;

/// All of it between two instructions.
#[derive(Clone, Debug)]
pub(crate) struct Moment {
    image: Image,
    devices: Devices,
    disk: Option<VirtioBlk>,
}

impl Bus {
    /// The same for another machine, which shares the pages of RAM until either
    /// writes to them. Nothing may be executing on this one.
    pub(crate) fn fork(&self) -> Bus {
        Bus {
            ram: self.ram.fork(),
            devices: self.devices.clone(),
            disk: self.disk.clone(),
            signals: self.signals.clone(),
            attention: self.attention,
        }
    }

    /// What all of it is now.
    pub(crate) fn moment(&mut self) -> Moment {
        Moment {
            image: self.ram.image(),
            devices: self.devices.clone(),
            disk: self.disk.clone(),
        }
    }

    /// Makes all of it what it was; RAM has to have the same size.
    pub(crate) fn rewind(&mut self, moment: &Moment) {
        self.ram.rewind(&moment.image);
        self.devices.clone_from(&moment.devices);
        self.disk.clone_from(&moment.disk);
        self.signals.clear();
        self.attention = false;
    }
}
