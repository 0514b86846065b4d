//! The options that say which cases.

use clap::Args;

use super::names;
use crate::wire::v1::CaseFilter;

/// Which cases. Options of one name are joined by or, those of different names by and.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Which cases")]
pub(super) struct FilterArguments {
    /// Kind of case
    #[arg(long = "kind", value_name = "KIND", value_parser = names::kind_parser(), ignore_case = true)]
    kinds: Vec<i32>,
    /// Legal category
    #[arg(long = "category", value_name = "CATEGORY", value_parser = names::category_parser(), ignore_case = true)]
    categories: Vec<i32>,
    /// Status, reported or confirmed; a name that kinds share is that of all of them
    #[arg(long = "status", value_name = "STATUS", value_parser = names::status_parser(), ignore_case = true, hide_possible_values = true)]
    statuses: Vec<Vec<i32>>,
    /// P-code of a first-level district
    #[arg(long = "district", value_name = "P-CODE")]
    districts: Vec<String>,
    /// Organisation that opened the case
    #[arg(long = "organisation", value_name = "REFERENCE")]
    organisations: Vec<String>,
    /// A case, as a UUID
    #[arg(long = "case", value_name = "UUID")]
    case_ids: Vec<String>,
    /// Only contested cases
    #[arg(long)]
    contested: bool,
}

impl FilterArguments {
    /// The filter as the protocol has it.
    pub(super) fn filter(&self) -> CaseFilter {
        CaseFilter {
            kinds: self.kinds.clone(),
            categories: self.categories.clone(),
            statuses: self.statuses.concat(),
            districts: self.districts.clone(),
            organisations: self.organisations.clone(),
            case_ids: self.case_ids.clone(),
            contested: self.contested,
        }
    }
}
