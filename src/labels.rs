//! PURE  Defines enums in which each variant has a label.

/// Defines an enum whose variants are each written once, with their label. The enum gets `ALL`, in which each variant is at
/// the index `variant as usize`, and `name()`, which returns the label.
macro_rules! labels {
    (
        $(#[$attribute:meta])*
        $visibility:vis enum $name:ident {
            $($(#[$doc:meta])* $variant:ident = $label:literal,)+
        }
    ) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        $visibility enum $name {
            $($(#[$doc])* $variant,)+
        }

        impl $name {
            /// Every variant, at the index `variant as usize`.
            $visibility const ALL: [Self; [$($label),+].len()] = [$(Self::$variant),+];

            /// The label in metrics, logs and on the wire.
            #[must_use]
            $visibility const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $label,)+
                }
            }
        }
    };
}

pub(crate) use labels;

#[cfg(test)]
mod tests {
    labels! {
        /// A sample.
        enum Colour {
            /// The first.
            Red = "red",
            /// The second.
            DarkBlue = "dark_blue",
            /// The third.
            Green = "green",
        }
    }

    #[test]
    fn every_variant_stands_at_its_index_and_has_its_label() {
        assert_eq!(Colour::ALL, [Colour::Red, Colour::DarkBlue, Colour::Green]);
        assert!(Colour::ALL.iter().enumerate().all(|(index, colour)| *colour as usize == index));
        assert_eq!(Colour::ALL.map(Colour::name), ["red", "dark_blue", "green"]);
    }
}
