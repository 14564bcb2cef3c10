//! Subnets for isolation groups.
//!
//! Docker's default pools hold about thirty networks, and a fourth test runner on the machine finds none left. So every
//! group gets a small subnet of our own choosing: a /27 (29 addresses for parts) of a range that is meant for no one
//! network, spread at random so that two seatrials seldom meet, tried again where they do.

use std::{collections::HashSet, fmt, net::Ipv4Addr, str::FromStr};

/// An IPv4 network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Subnet {
    /// Its first address.
    pub network: Ipv4Addr,
    /// How many leading bits are the network's.
    pub prefix: u8,
}

/// No subnet could be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubnetError {
    /// The text is no IPv4 network.
    #[error("`{0}` is no IPv4 network such as 10.0.0.0/8")]
    Invalid(String),
    /// All are taken.
    #[error(
        "no subnet of {pool} is free: {taken} networks are there; `seatrial reap` removes what is left of ours"
    )]
    NoneFree {
        /// Where they are taken from.
        pool: Subnet,
        /// How many networks overlap it.
        taken: usize,
    },
}

impl Subnet {
    fn bits(self) -> u32 {
        self.network.to_bits()
    }

    fn size(self) -> u64 {
        1 << (32 - u32::from(self.prefix))
    }

    /// Whether two have an address in common.
    pub fn overlaps(self, other: Self) -> bool {
        let end = |subnet: Self| u64::from(subnet.bits()) + subnet.size();
        u64::from(self.bits()) < end(other) && u64::from(other.bits()) < end(self)
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.prefix)
    }
}

impl FromStr for Subnet {
    type Err = SubnetError;

    fn from_str(text: &str) -> Result<Self, SubnetError> {
        let invalid = || SubnetError::Invalid(text.to_owned());
        let (network, prefix) = text.split_once('/').ok_or_else(invalid)?;
        let network: Ipv4Addr = network.parse().map_err(|_| invalid())?;
        let prefix: u8 = prefix
            .parse()
            .ok()
            .filter(|prefix| (1..=32).contains(prefix))
            .ok_or_else(invalid)?;
        let mask = u32::MAX << (32 - u32::from(prefix));
        Ok(Self {
            network: Ipv4Addr::from_bits(network.to_bits() & mask),
            prefix,
        })
    }
}

/// The subnets of a pool.
#[derive(Clone, Copy, Debug)]
pub struct Subnets {
    pool: Subnet,
    prefix: u8,
}

impl Default for Subnets {
    /// The /27s of 198.18.0.0/15, 4,096 of them. That range is set aside for tests of networks (RFC 2544) and is routed
    /// nowhere, so that it clashes with no company's network, no VPN and none of Docker's own pools.
    fn default() -> Self {
        Self {
            pool: Subnet {
                network: Ipv4Addr::new(198, 18, 0, 0),
                prefix: 15,
            },
            prefix: 27,
        }
    }
}

impl Subnets {
    /// How many there are.
    pub fn count(&self) -> u32 {
        1 << (self.prefix - self.pool.prefix)
    }

    fn nth(&self, number: u32) -> Subnet {
        let bits = self.pool.bits() + (number % self.count()) * (1 << (32 - u32::from(self.prefix)));
        Subnet {
            network: Ipv4Addr::from_bits(bits),
            prefix: self.prefix,
        }
    }

    /// A subnet that overlaps none of `taken`; the search starts at `start`, which the caller picks at random, so that
    /// those who choose at the same time choose differently.
    ///
    /// # Errors
    /// When there is none.
    pub fn free(&self, taken: &HashSet<Subnet>, start: u32) -> Result<Subnet, SubnetError> {
        let relevant: Vec<Subnet> = taken
            .iter()
            .copied()
            .filter(|taken| taken.overlaps(self.pool))
            .collect();
        (0..self.count())
            .map(|offset| self.nth(start.wrapping_add(offset)))
            .find(|candidate| !relevant.iter().any(|taken| taken.overlaps(*candidate)))
            .ok_or(SubnetError::NoneFree {
                pool: self.pool,
                taken: relevant.len(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(text: &str) -> Subnet {
        text.parse().unwrap()
    }

    #[test]
    fn every_free_one_is_found_and_none_twice() {
        let subnets = Subnets {
            pool: subnet("198.18.0.0/20"),
            prefix: 27,
        };
        let mut taken = HashSet::new();
        for number in 0..subnets.count() {
            let free = subnets.free(&taken, number.wrapping_mul(2_654_435_761)).unwrap();
            assert!(
                !taken
                    .iter()
                    .any(|other: &Subnet| *other != free && other.overlaps(free))
            );
            assert!(taken.insert(free));
        }
        assert_eq!(taken.len(), 128);
        let error = subnets.free(&taken, 0).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("no subnet of 198.18.0.0/20 is free: 128 networks"),
            "{error}"
        );
    }

    #[test]
    fn networks_of_other_sizes_are_kept_clear_of() {
        let taken = [
            subnet("198.18.0.0/16"),
            subnet("198.19.0.8/29"),
            subnet("10.0.0.0/8"),
        ]
        .into();
        assert_eq!(
            Subnets::default().free(&taken, 0).unwrap(),
            subnet("198.19.0.32/27")
        );
    }

    #[test]
    fn a_text_is_read_as_its_network() {
        assert_eq!(subnet("172.17.3.4/16").to_string(), "172.17.0.0/16");
        for wrong in ["", "10.0.0.0", "10.0.0.0/0", "10.0.0.0/33", "::1/64", "a/8"] {
            assert_eq!(
                wrong.parse::<Subnet>(),
                Err(SubnetError::Invalid(wrong.into())),
                "{wrong}"
            );
        }
    }
}
