// SPDX-License-Identifier: Apache-2.0
// Operands of a query bound to the values of one execution.
#include "sql/analysis.h"

namespace pgcache::sql {
namespace {

using State = Operand::State;

Operand from(std::optional<pg::Value> value) {
  if (!value) return {};
  return {State::kValue, std::move(value)};
}

// As the length or precision makes it, if the operand has one.
Operand with_length(const OperandSpec& spec, Operand operand) {
  if (spec.typmod < 0) return operand;
  const pg::Oid type = spec.type == pg::type::kText ? pg::type::kVarchar : spec.type;
  return pg::cast(type, type, spec.typmod, operand);
}

Operand read_text(const OperandSpec& spec, std::string_view text) {
  if (spec.type == pg::Oid::kInvalid) return from(pg::Value::text({}));
  if (spec.value_type)
    return spec.negated ? Operand{} : from(pg::parse_text(*spec.value_type, text));
  if (!spec.negated) return from(pg::parse_text(spec.type, text));
  return from(pg::parse_text(spec.type, "-" + std::string(text)));
}

Operand read_parameter(const OperandSpec& spec, const Parameter& parameter, pg::Oid type) {
  if (parameter.is_null) return {State::kNull, std::nullopt};
  if (spec.negated) return {};
  if (spec.type == pg::Oid::kInvalid) return read_text(spec, {});
  // The binary form of a text is the text; a text that is cast is read by the target's input
  // function.
  if (!parameter.binary || (pg::type::is_text(type) && !pg::type::is_text(spec.type))) {
    return read_text(spec, parameter.bytes);
  }
  if (type != spec.type) return {};
  if (spec.value_type) return from(pg::parse_binary(*spec.value_type, parameter.bytes));
  return from(pg::parse_binary(type, parameter.bytes));
}

}  // namespace

std::vector<Operand> bind_operands(const CacheableQuery& query,
                                   const std::vector<Literal>& literals,
                                   const std::vector<Parameter>& parameters) {
  std::vector<Operand> operands;
  operands.reserve(query.operands.size());
  for (const OperandSpec& spec : query.operands) {
    Operand& operand = operands.emplace_back();
    switch (spec.source) {
      case OperandSpec::Source::kConstant:
        operand = with_length(spec, read_text(spec, spec.constant));
        break;
      case OperandSpec::Source::kLiteral:
        if (spec.index < literals.size()) {
          operand = with_length(spec, read_text(spec, literals[spec.index].text));
        }
        break;
      case OperandSpec::Source::kParameter:
        if (spec.index < parameters.size()) {
          const pg::Oid type = spec.index < query.parameter_types.size()
                                   ? query.parameter_types[spec.index]
                                   : pg::Oid::kInvalid;
          operand = with_length(spec, read_parameter(spec, parameters[spec.index], type));
        }
        break;
    }
  }
  return operands;
}

}  // namespace pgcache::sql
